/* Mathematics: thin wrappers of libm, all on doubles. */
#include <math.h>
#include <stdlib.h>

#include "mapping/builtins.h"

#define VALUE(name) static int name(struct ev *c, struct val in, const struct val *args, struct val *ret)

static int number_required(struct ev *c, struct val v)
{
    return v.kind == VAL_NUMBER ? EV_OK : ev_error(c, "%s number required", ev_shown(c, v));
}

#define ONE(name, call)                                                                                      \
    VALUE(name)                                                                                              \
    {                                                                                                        \
        (void)args;                                                                                          \
        int rc = number_required(c, in);                                                                     \
        if (rc)                                                                                              \
            return rc;                                                                                       \
        double x = val_double(in);                                                                           \
        *ret = val_num(call);                                                                                \
        return EV_OK;                                                                                        \
    }
#define TWO(name, call)                                                                                      \
    VALUE(name)                                                                                              \
    {                                                                                                        \
        (void)in;                                                                                            \
        int rc = number_required(c, args[0]);                                                                \
        if (!rc)                                                                                             \
            rc = number_required(c, args[1]);                                                                \
        if (rc)                                                                                              \
            return rc;                                                                                       \
        double x = val_double(args[0]), y = val_double(args[1]);                                             \
        *ret = val_num(call);                                                                                \
        return EV_OK;                                                                                        \
    }

static int clamped(double d) { return d > 1e6 ? 1000000 : d < -1e6 ? -1000000 : isnan(d) ? 0 : (int)d; }

ONE(f_floor, floor(x))
ONE(f_ceil, ceil(x))
ONE(f_round, round(x))
ONE(f_trunc, trunc(x))
ONE(f_rint, rint(x))
ONE(f_nearbyint, nearbyint(x))
ONE(f_fabs, fabs(x))
ONE(f_sqrt, sqrt(x))
ONE(f_cbrt, cbrt(x))
ONE(f_exp, exp(x))
ONE(f_exp2, exp2(x))
ONE(f_exp10, exp10(x))
ONE(f_expm1, expm1(x))
ONE(f_log, log(x))
ONE(f_log2, log2(x))
ONE(f_log10, log10(x))
ONE(f_log1p, log1p(x))
ONE(f_logb, logb(x))
ONE(f_significand, significand(x))
ONE(f_gamma, lgamma(x))
ONE(f_tgamma, tgamma(x))
ONE(f_sin, sin(x))
ONE(f_cos, cos(x))
ONE(f_tan, tan(x))
ONE(f_asin, asin(x))
ONE(f_acos, acos(x))
ONE(f_atan, atan(x))
ONE(f_sinh, sinh(x))
ONE(f_cosh, cosh(x))
ONE(f_tanh, tanh(x))
ONE(f_asinh, asinh(x))
ONE(f_acosh, acosh(x))
ONE(f_atanh, atanh(x))
ONE(f_erf, erf(x))
ONE(f_erfc, erfc(x))
ONE(f_j0, j0(x))
ONE(f_j1, j1(x))
ONE(f_y0, y0(x))
ONE(f_y1, y1(x))
TWO(f_pow, pow(x, y))
TWO(f_atan2, atan2(x, y))
TWO(f_fmod, fmod(x, y))
TWO(f_fmin, fmin(x, y))
TWO(f_fmax, fmax(x, y))
TWO(f_fdim, fdim(x, y))
TWO(f_hypot, hypot(x, y))
TWO(f_copysign, copysign(x, y))
TWO(f_drem, drem(x, y))
TWO(f_remainder, remainder(x, y))
TWO(f_nextafter, nextafter(x, y))
TWO(f_nexttoward, nexttoward(x, (long double)y))
TWO(f_ldexp, ldexp(x, clamped(y)))
TWO(f_scalbln, scalbln(x, clamped(y)))
TWO(f_scalb, isnan(y) ? NAN : scalbn(x, clamped(y)))
TWO(f_jn, jn(clamped(x), y))
TWO(f_yn, yn(clamped(x), y))

VALUE(f_fma)
{
    (void)in;
    for (int i = 0; i < 3; i++) {
        int rc = number_required(c, args[i]);
        if (rc)
            return rc;
    }
    *ret = val_num(fma(val_double(args[0]), val_double(args[1]), val_double(args[2])));
    return EV_OK;
}

static struct val pair(struct ev *c, double a, double b)
{
    struct val r = val_array(c->heap, 2);
    r = val_push(c->heap, r, val_num(a));
    return r.kind == VAL_ARRAY ? val_push(c->heap, r, val_num(b)) : r;
}

VALUE(f_frexp)
{
    (void)args;
    int rc = number_required(c, in), exp = 0;
    if (rc)
        return rc;
    double m = frexp(val_double(in), &exp);
    *ret = pair(c, m, exp);
    return EV_OK;
}

VALUE(f_modf)
{
    (void)args;
    int rc = number_required(c, in);
    if (rc)
        return rc;
    double whole, frac = modf(val_double(in), &whole);
    *ret = pair(c, frac, whole);
    return EV_OK;
}

VALUE(f_lgamma_r)
{
    (void)args;
    int rc = number_required(c, in), sign = 0;
    if (rc)
        return rc;
    double v = lgamma_r(val_double(in), &sign);
    *ret = pair(c, v, sign);
    return EV_OK;
}

VALUE(f_abs)
{
    (void)args;
    *ret = in;
    return val_cmp(c->heap, in, val_num(0)) < 0 ? op_negate(c, in, ret)
                                                : EV_OK; /* what sorts before 0 is negated */
}

VALUE(f_infinite)
{
    (void)c, (void)in, (void)args;
    *ret = val_num(INFINITY);
    return EV_OK;
}

VALUE(f_nan)
{
    (void)c, (void)in, (void)args;
    *ret = val_num(NAN);
    return EV_OK;
}

#define IS(name, test)                                                                                       \
    VALUE(name)                                                                                              \
    {                                                                                                        \
        (void)c, (void)args;                                                                                 \
        double x = in.kind == VAL_NUMBER ? val_double(in) : 0;                                               \
        *ret = val_bool(in.kind == VAL_NUMBER && (test));                                                    \
        return EV_OK;                                                                                        \
    }
IS(f_isnan, isnan(x))
IS(f_isinfinite, isinf(x))
IS(f_isfinite, isfinite(x))
IS(f_isnormal, isnormal(x))

const struct native natives_math[] = {
    {"floor", 0, f_floor, NULL},
    {"ceil", 0, f_ceil, NULL},
    {"round", 0, f_round, NULL},
    {"trunc", 0, f_trunc, NULL},
    {"rint", 0, f_rint, NULL},
    {"nearbyint", 0, f_nearbyint, NULL},
    {"fabs", 0, f_fabs, NULL},
    {"abs", 0, f_abs, NULL},
    {"sqrt", 0, f_sqrt, NULL},
    {"cbrt", 0, f_cbrt, NULL},
    {"exp", 0, f_exp, NULL},
    {"exp2", 0, f_exp2, NULL},
    {"exp10", 0, f_exp10, NULL},
    {"expm1", 0, f_expm1, NULL},
    {"log", 0, f_log, NULL},
    {"log2", 0, f_log2, NULL},
    {"log10", 0, f_log10, NULL},
    {"log1p", 0, f_log1p, NULL},
    {"logb", 0, f_logb, NULL},
    {"significand", 0, f_significand, NULL},
    {"gamma", 0, f_gamma, NULL},
    {"lgamma", 0, f_gamma, NULL},
    {"tgamma", 0, f_tgamma, NULL},
    {"sin", 0, f_sin, NULL},
    {"cos", 0, f_cos, NULL},
    {"tan", 0, f_tan, NULL},
    {"asin", 0, f_asin, NULL},
    {"acos", 0, f_acos, NULL},
    {"atan", 0, f_atan, NULL},
    {"sinh", 0, f_sinh, NULL},
    {"cosh", 0, f_cosh, NULL},
    {"tanh", 0, f_tanh, NULL},
    {"asinh", 0, f_asinh, NULL},
    {"acosh", 0, f_acosh, NULL},
    {"atanh", 0, f_atanh, NULL},
    {"erf", 0, f_erf, NULL},
    {"erfc", 0, f_erfc, NULL},
    {"j0", 0, f_j0, NULL},
    {"j1", 0, f_j1, NULL},
    {"y0", 0, f_y0, NULL},
    {"y1", 0, f_y1, NULL},
    {"pow", 2, f_pow, NULL},
    {"atan2", 2, f_atan2, NULL},
    {"fmod", 2, f_fmod, NULL},
    {"fmin", 2, f_fmin, NULL},
    {"fmax", 2, f_fmax, NULL},
    {"fdim", 2, f_fdim, NULL},
    {"hypot", 2, f_hypot, NULL},
    {"copysign", 2, f_copysign, NULL},
    {"drem", 2, f_drem, NULL},
    {"remainder", 2, f_remainder, NULL},
    {"nextafter", 2, f_nextafter, NULL},
    {"nexttoward", 2, f_nexttoward, NULL},
    {"ldexp", 2, f_ldexp, NULL},
    {"scalbln", 2, f_scalbln, NULL},
    {"scalb", 2, f_scalb, NULL},
    {"jn", 2, f_jn, NULL},
    {"yn", 2, f_yn, NULL},
    {"fma", 3, f_fma, NULL},
    {"frexp", 0, f_frexp, NULL},
    {"modf", 0, f_modf, NULL},
    {"lgamma_r", 0, f_lgamma_r, NULL},
    {"infinite", 0, f_infinite, NULL},
    {"nan", 0, f_nan, NULL},
    {"isnan", 0, f_isnan, NULL},
    {"isinfinite", 0, f_isinfinite, NULL},
    {"isfinite", 0, f_isfinite, NULL},
    {"isnormal", 0, f_isnormal, NULL},
    {.name = NULL},
};
