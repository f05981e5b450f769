# ocean-run: build, tests and packaging. No configure step; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := build

CC       ?= cc
VARIANT  := $(if $(SAN),san,rel)
B        := build/$(VARIANT)
PKGS     := lua5.4 libuv libcurl sqlite3 yaml-0.1 libmicrohttpd yyjson libcrypto
CSTD     := -std=gnu11
WARN     := -Wall -Wextra -Wshadow -Wformat=2 -Wvla -Wmissing-prototypes -Wno-missing-field-initializers
OPT      := $(if $(SAN),-O1 -fno-omit-frame-pointer -DOCEAN_SAN=1,-O2)
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
CPPFLAGS += -D_GNU_SOURCE -Iruntime $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS   += $(CSTD) -g $(OPT) $(WARN) $(SANFLAGS) -fno-strict-aliasing
LDLIBS   += -Wl,--as-needed $(shell pkg-config --libs $(PKGS) 2>/dev/null) -ljq -lonig -lpthread -lm -ldl
LDFLAGS  += $(SANFLAGS) -Wl,-E

# Folders in link order: each may use only those to its right (design.md section 3).
FOLDERS  := cli script catalog sync port mapping config store json io base
MAINS    := runtime/cli/main.c runtime/cli/port_local.c
SRC_OF    = $(filter-out $(MAINS),$(wildcard runtime/$(1)/*.c))
OBJ_OF    = $(patsubst runtime/%.c,$(B)/%.o,$(call SRC_OF,$(1)))
ARCHIVES := $(FOLDERS:%=$(B)/%.a)

.PHONY: build
build: build/ocean-run build/port-local

build/ocean-run: $(B)/ocean-run
	@cp -f $< $@
build/port-local: $(B)/port-local
	@cp -f $< $@
$(B)/ocean-run: $(B)/cli/main.o $(ARCHIVES)
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LDLIBS)
$(B)/port-local: $(B)/cli/port_local.o $(ARCHIVES)
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LDLIBS)

$(B)/%.o: runtime/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define archive
$(B)/$(1).a: $$(call OBJ_OF,$(1))
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call archive,$(f))))

# The part of the ocean library that is written in Lua, as bytes inside the binary.
EMBEDDED_LUA := $(sort $(wildcard lua/ocean/*.lua))
$(B)/gen/embedded_lua.c: $(EMBEDDED_LUA)
	@mkdir -p $(@D)
	@{ echo '#include "script/embed.h"'; \
	  for f in $^; do n=$$(basename $$f .lua); \
	    echo "static const unsigned char lua_$$n[] = {"; od -An -v -tx1 $$f | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '0};'; done; \
	  echo 'const struct embedded_lua embedded_lua[] = {'; \
	  for f in $^; do n=$$(basename $$f .lua); echo "{\"$$n\", lua_$$n, sizeof(lua_$$n) - 1},"; done; \
	  echo '{0, 0, 0}};'; } > $@.tmp && mv $@.tmp $@
$(B)/gen/embedded_lua.o: $(B)/gen/embedded_lua.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/script.a: $(B)/gen/embedded_lua.o

# Unit tests: tests/unit/<folder>/test_*.c link that folder and what it may use.
UNIT_SRC := $(wildcard tests/unit/*/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
use_base    := base
use_json    := json base
use_io      := io base
use_store   := store json io base
use_config  := config store json io base
use_mapping := mapping config json io base
use_port    := port config store json io base
use_sync    := sync port mapping config store json io base
use_script  := script sync port mapping config store json io base
use_catalog := catalog store json io base
use_cli     := $(FOLDERS)
.SECONDEXPANSION:
$(B)/unit/%: tests/unit/%.c $$(foreach f,$$(use_$$(firstword $$(subst /, ,$$*))),$(B)/$$(f).a)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itests -MMD -MP -o $@ $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS) -lcmocka

.PHONY: unit
unit: $(UNIT_BIN)

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
