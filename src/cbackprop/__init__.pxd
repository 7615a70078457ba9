# For `cimport cbackprop`: compile with cbackprop.get_include() and add cbackprop.get_source() to the sources.

from cbackprop.c_api cimport *
