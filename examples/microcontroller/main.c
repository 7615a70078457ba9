/* A thermistor's curve on a microcontroller: temperature from resistance, resistance from temperature, and an offset
 * that goes on being learned where the device is. thermistor.h is written by run.py; board.c or host.c reports. */
#include "report.h"

#include "thermistor.h"

int main(void)
{
    static const cbp_real ohms[] = {200000, 32650, 10000, 3603, 1256, 0, -1};
    for (unsigned i = 0; i < sizeof ohms / sizeof *ohms; i++) {
        const cbp_real celsius = thermistor_forward(thermistor_params, ohms[i]);
        report_real("celsius", celsius);
        report_real("ohms", thermistor_inverse(thermistor_params, celsius));
    }

    /* The sensor has aged: a reference thermometer reads half a degree more. Frozen is all but b3, the offset. */
    cbp_real params[sizeof thermistor_params / sizeof *thermistor_params];
    memcpy(params, thermistor_params, sizeof params);
    for (int i = 0; i < 40; i++) {
        const cbp_real seen = ohms[1 + i % 4];
        const cbp_real reference = thermistor_forward(thermistor_params, seen) + (cbp_real)0.5;
        report_real("error", thermistor_step(params, seen, reference, (cbp_real)0.125));
    }
    report_real("offset learned", params[5] - thermistor_params[5]);
    return 0;
}
