// libuv for the C peers of this package. The library's own module is not a product, so it cannot be seen from here.

#ifndef CLIBUVBENCH_SHIM_H
#define CLIBUVBENCH_SHIM_H

#include <uv.h>

#endif
