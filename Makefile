# ocean-run: build, tests and packaging. No configure step; `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

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
LDFLAGS  += $(SANFLAGS)

# Folders in link order: each may use only those to its right (design.md section 3).
FOLDERS  := cli script catalog listen sync port mapping config store json io base
MAINS    := runtime/cli/main.c runtime/cli/port_local.c
SRC_OF    = $(filter-out $(MAINS),$(wildcard runtime/$(1)/*.c runtime/$(1)/*/*.c))
OBJ_OF    = $(patsubst runtime/%.c,$(B)/%.o,$(call SRC_OF,$(1)))
ARCHIVES := $(FOLDERS:%=$(B)/%.a)

# Sub-makes use every processor unless the user said how many.
PAR = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 1))
BINARIES := $(if $(SAN),$(B)/ocean-run $(B)/port-local,build/ocean-run build/port-local)

.PHONY: build
build: $(BINARIES) ## the two programs, build/ocean-run and build/port-local (default)

build/ocean-run: $(B)/ocean-run
	@cp -f $< $@
build/port-local: $(B)/port-local
	@cp -f $< $@
$(B)/ocean-run: $(B)/cli/main.o $(ARCHIVES)
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LDLIBS)
$(B)/port-local: $(B)/cli/port_local.o $(ARCHIVES)
	$(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LDLIBS)

# Says which Debian package is missing before the compiler would stumble over its header.
$(B)/deps: .ci/deps.sh
	@mkdir -p $(@D); $< --check build && touch $@

$(B)/%.o: runtime/%.c | $(B)/deps
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

# Style sheet and script of the catalog's pages, likewise.
PAGE_FILES := runtime/catalog/page/page.css runtime/catalog/page/page.js
$(B)/gen/embedded_page.c: $(PAGE_FILES)
	@mkdir -p $(@D)
	@{ echo '#include "catalog/page/embed.h"'; \
	  for f in $^; do n=$$(basename $$f | tr . _); \
	    echo "const unsigned char $$n[] = {"; od -An -v -tx1 $$f | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'; echo '0};'; \
	    echo "const size_t $${n}_size = sizeof($$n) - 1;"; done; } > $@.tmp && mv $@.tmp $@
$(B)/gen/embedded_page.o: $(B)/gen/embedded_page.c
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
$(B)/catalog.a: $(B)/gen/embedded_page.o

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
use_listen  := listen sync port mapping config store json io base
use_script  := script listen sync port mapping config store json io base
use_catalog := catalog store json io base
use_cli     := $(FOLDERS)
.SECONDEXPANSION:
$(B)/unit/%: tests/unit/%.c $$(foreach f,$$(use_$$(firstword $$(subst /, ,$$*))),$(B)/$$(f).a)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itests -MMD -MP -o $@ $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS) -lcmocka

.PHONY: unit
unit: $(UNIT_BIN)

# What `make test` runs besides: the corpus runner and the third party of the benchmark.
CORPUS_BIN := $(patsubst tests/corpus/%.c,$(B)/corpus/%,$(wildcard tests/corpus/*.c))
$(B)/corpus/%: tests/corpus/%.c $(foreach f,mapping config json io base,$(B)/$(f).a)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -Itests -MMD -MP -o $@ $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)
$(B)/bench/%: tests/bench/%.c $(foreach f,$(use_mapping),$(B)/$(f).a)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -o $@ $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

.PHONY: everything
everything: build unit $(CORPUS_BIN)

.PHONY: deps deps-build deps-test
deps: deps-test ## install the Debian packages for all of this (asks before it uses sudo)
deps-build deps-test: deps-%:
	@.ci/deps.sh $*

.PHONY: demo
demo: deps-build ## fill a catalog with this machine's software inventory, twice, and show it
	@$(MAKE) --no-print-directory $(PAR) build
	@integrations/dpkg/demo.sh

.PHONY: test
test: deps-test ## every test; T=name runs those whose name contains it
	@$(MAKE) --no-print-directory $(PAR) everything
	@BUILD=$(if $(SAN),$(B),build) TREE=$(B) tests/run $(T)

.PHONY: check
check: ## everything again under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory SAN=address,undefined test T="$(T)"

# One libFuzzer target for S seconds, from its corpus: make fuzz F=json S=60. F=diff compares the mapping engine with jq.
F ?= all
S ?= 60
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_LIBS := script catalog listen sync port mapping config store json io base
.PHONY: fuzz
fuzz: ## F=name S=seconds: one fuzz target from its corpus; F=all: each of them
	@command -v clang >/dev/null || { echo 'fuzz: needs clang: apt-get install clang'; exit 1; }
	@for f in $(if $(filter all,$(F)),$(FUZZERS) diff,$(F)); do \
	  if [ $$f = diff ]; then tests/corpus/diff.sh $(S) || exit 1; continue; fi; \
	  $(MAKE) --no-print-directory $(PAR) CC=clang SAN=fuzzer-no-link,address,undefined VARIANT=fuzz build/fuzz/bin/$$f && \
	  mkdir -p build/fuzz/corpus/$$f && \
	  build/fuzz/bin/$$f -max_total_time=$(S) -timeout=10 build/fuzz/corpus/$$f $$(ls -d tests/fuzz/$$f 2>/dev/null) || exit 1; \
	done
build/fuzz/bin/%: tests/fuzz/fuzz_%.c $(FUZZ_LIBS:%=$(B)/%.a)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -fsanitize=fuzzer -o $@ $< $(LDFLAGS) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LDLIBS)

.PHONY: bench
bench: deps-build ## mapping, start-up, first load and unchanged resync of 100,000 entities, peak memory
	@$(MAKE) --no-print-directory $(PAR) build build/rel/bench/third_party build/rel/bench/mapping
	@build/rel/bench/mapping
	@BUILD=build tests/bench/run.py
	@BUILD=build tests/bench/catalog.py
	@BUILD=build tests/bench/pages.py

.PHONY: lint
lint: ## include arrows, banned functions, header rules; clang-format, cppcheck, luacheck when installed
	@.ci/lint.sh

PREFIX ?= /usr/local
.PHONY: install uninstall
install: build ## into DESTDIR and PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/ocean/lua $(DESTDIR)$(PREFIX)/share/doc/ocean-run
	install -m 755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin
	install -m 644 lua/types/*.lua $(DESTDIR)$(PREFIX)/share/ocean/lua
	install -m 644 README.md LICENSE CHANGELOG.md $(DESTDIR)$(PREFIX)/share/doc/ocean-run
uninstall: ## what install put there
	rm -f $(DESTDIR)$(PREFIX)/bin/ocean-run $(DESTDIR)$(PREFIX)/bin/port-local
	rm -rf $(DESTDIR)$(PREFIX)/share/ocean/lua $(DESTDIR)$(PREFIX)/share/doc/ocean-run
	-@rmdir $(DESTDIR)$(PREFIX)/share/ocean 2>/dev/null || true

.PHONY: clean
clean: ## everything that was built
	rm -rf build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^=]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

-include $(shell find $(B) -name '*.d' 2>/dev/null)
