-- The software inventory of a Debian machine, from dpkg's database: a text file of paragraphs, one a package.
--
-- The file is opened once per kind and read twice through the same handle: dpkg replaces it as a whole, so both readings
-- see the same state. The first reading collects what is installed, which relations need; the second hands packages over
-- in batches. Only a batch is in memory at a time.
local ocean = require "ocean"

local BATCH = ocean.config.batch_size or 200
local PREFIX = ocean.config.prefix or ""

local function broken(path, line, text)
  error(ocean.error("parse", ("%s:%d: %s"):format(path, line, text)), 0)
end

local function open_database()
  local path = ocean.config.database_path or "/var/lib/dpkg/status"
  local file, why = io.open(path, "r")
  if not file then
    error(ocean.error("config", ("cannot read the package database: %s; "):format(why) ..
      "set OCEAN__INTEGRATION__CONFIG__DATABASE_PATH to the status file of a dpkg database"), 0)
  end
  return file, path
end

-- The fields read here; the others, some of which are long, are passed over.
local WANTED = {}
for name in ([[package status priority section installed-size maintainer architecture version source depends pre-depends
  provides homepage description essential]]):gmatch("%S+") do
  WANTED[name] = true
end

-- Iterator over the installed packages: tables of field name (lower case) to its first line.
local function paragraphs(file, path)
  local number = 0
  file:seek("set", 0)
  return function()
    local p
    while true do
      local line = file:read("l")
      number = number + 1
      if not line or line == "" then
        if p and p.status and p.status:find(" installed$") then
          if not (p.package and p.version and p.architecture) then
            broken(path, number, ("the paragraph of %s has no Package, Version or Architecture"):format(p.package or "?"))
          end
          return p
        end
        if not line then return nil end
        p = nil
      elseif not line:find("^[ \t]") then
        local name, value = line:match("^([^: \t]+):[ \t]*(.-)[ \t]*$")
        if not name then broken(path, number, ("expected \"Field: value\", found %q"):format(line:sub(1, 60))) end
        name = name:lower()
        p = p or {}
        if WANTED[name] then p[name] = value end
      end
    end
  end
end

-- Source package and its version: "Source: gcc-12 (12.2.0-14)", else the package's own name and version.
local function source_of(p)
  if not p.source then return p.package, p.version end
  local name, version = p.source:match("^(%S+)%s+%((.-)%)$")
  return name or p.source, version or p.version
end

-- "debconf (>= 0.5) | debconf-2.0, libc6:any" as a list of lists of names.
local function alternatives(field)
  local list = {}
  for group in (field or ""):gmatch("[^,]+") do
    local names = {}
    for choice in group:gmatch("[^|]+") do
      local name = choice:match("^%s*([%w+.-]+)")
      if name then names[#names + 1] = name end
    end
    list[#list + 1] = names
  end
  return list
end

-- What is installed: `ids[name][architecture]` is a package's identifier, `providers[name]` the identifiers of those
-- that provide a virtual package. A package of the machine's own architecture, or of any, goes by its name alone; one
-- of a foreign architecture by name:architecture, as dpkg shows it.
local function survey(file, path)
  local native
  for p in paragraphs(file, path) do
    if p.package == "dpkg" then native = p.architecture break end
  end
  local s = { ids = {}, providers = {}, count = 0 }
  function s.id(p)
    local foreign = native and p.architecture ~= "all" and p.architecture ~= native
    return PREFIX .. (foreign and p.package .. ":" .. p.architecture or p.package)
  end
  for p in paragraphs(file, path) do
    local id = s.id(p)
    s.count = s.count + 1
    s.ids[p.package] = s.ids[p.package] or {}
    s.ids[p.package][p.architecture] = id
    for _, names in ipairs(alternatives(p.provides)) do
      for _, name in ipairs(names) do
        s.providers[name] = s.providers[name] or {}
        table.insert(s.providers[name], id)
      end
    end
  end
  if s.count == 0 then
    error(ocean.error("config", ("%s: no installed package in it; is it the status file of a dpkg database?")
      :format(path)), 0)
  end
  return s
end

-- The installed packages that a name in a dependency of `p` stands for.
local function resolve(s, p, name)
  local by_arch = s.ids[name]
  if by_arch then
    local id = by_arch[p.architecture] or by_arch.all or select(2, next(by_arch))
    return { id }
  end
  return s.providers[name] or {}
end

-- Identifiers of the installed packages `p` depends on, each once, in the order of its fields. Of alternatives all that
-- are installed count.
local function dependencies(s, p)
  local list, seen = ocean.array {}, { [s.id(p)] = true }
  for _, field in ipairs { "pre-depends", "depends" } do
    for _, names in ipairs(alternatives(p[field])) do
      for _, name in ipairs(names) do
        for _, id in ipairs(resolve(s, p, name)) do
          if not seen[id] then
            seen[id] = true
            list[#list + 1] = id
          end
        end
      end
    end
  end
  return list
end

local function in_batches(next_item)
  local batch = {}
  for item in next_item do
    batch[#batch + 1] = item
    if #batch == BATCH then
      ocean.yield(batch)
      batch = {}
    end
  end
  if #batch > 0 then ocean.yield(batch) end
end

ocean.on_resync("package", function()
  local file <close>, path = open_database()
  local s = survey(file, path)
  local following = paragraphs(file, path)
  in_batches(function()
    local p = following()
    if not p then return nil end
    local source, source_version = source_of(p)
    return {
      id = s.id(p), name = p.package, version = p.version, architecture = p.architecture, section = p.section,
      priority = p.priority, essential = p.essential == "yes", maintainer = p.maintainer,
      installed_size = math.tointeger(tonumber(p["installed-size"])), homepage = p.homepage,
      description = p.description, source = PREFIX .. source, source_version = source_version,
      depends = dependencies(s, p),
    }
  end)
end)

ocean.on_resync("source", function()
  local file <close>, path = open_database()
  survey(file, path)
  local order, found = {}, {}
  for p in paragraphs(file, path) do
    local name, version = source_of(p)
    local source = found[name]
    if not source then
      source = { id = PREFIX .. name, name = name, maintainer = p.maintainer, homepage = p.homepage, versions = {},
                 packages = 0, installed_size = 0 }
      found[name] = source
      order[#order + 1] = source
    end
    source.packages = source.packages + 1
    source.installed_size = source.installed_size + (math.tointeger(tonumber(p["installed-size"])) or 0)
    source.homepage = source.homepage or p.homepage
    source.versions[version] = true
  end
  for _, source in ipairs(order) do
    local versions = ocean.array {}
    for version in pairs(source.versions) do versions[#versions + 1] = version end
    table.sort(versions)
    source.versions = versions
  end
  local n = 0
  in_batches(function()
    n = n + 1
    return order[n]
  end)
end)
