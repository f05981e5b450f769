/* embed.h: the page's style sheet and script inside the binary. Written by the Makefile from page.css and page.js. */
#pragma once
#include <stddef.h>

extern const unsigned char page_css[], page_js[];
extern const size_t page_css_size, page_js_size;
