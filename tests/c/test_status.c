/* Every status has a sentence of its own, and every other number one that says so. */
#include "check.h"

#include <limits.h>

int main(void)
{
    const char *unknown = cbp_status_string(CBP_STATUS_END);
    CHECK(unknown && *unknown);
    for (int status = 0; status > CBP_STATUS_END; status--) {
        const char *text = cbp_status_string(status);
        CHECK(text && *text);
        CHECK(strcmp(text, unknown) != 0);
        for (int other = 0; other > status; other--) {
            CHECK(strcmp(text, cbp_status_string(other)) != 0);
        }
    }
    const int strangers[] = {INT_MIN, INT_MIN + 1, CBP_STATUS_END - 1, -1000, 1, 2, 1000, INT_MAX};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        CHECK(strcmp(cbp_status_string(strangers[i]), unknown) == 0);
    }

    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", CBP_VERSION_MAJOR, CBP_VERSION_MINOR,
             CBP_VERSION_PATCH);
    CHECK(strcmp(version, CBP_VERSION) == 0);
    CHECK(strcmp(cbp_version(), CBP_VERSION) == 0);
    return check_done("test_status");
}
