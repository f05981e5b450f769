/* version.h: the product's version, in one place. */
#pragma once

#define OCEAN_VERSION "0.1.0"
