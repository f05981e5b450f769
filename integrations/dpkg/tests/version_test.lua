-- Comparison of versions, on pairs whose order dpkg --compare-versions gives. Run as a script: it fails to load when a
-- pair is in the wrong order.

local ocean = require "ocean"
local folder = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
package.path = folder .. "/../?.lua;" .. package.path
local version = require "version"

local ASCENDING = {
  { "1.0", "1.1" }, { "1.9", "1.10" }, { "1.0~rc1", "1.0" }, { "1.0~~", "1.0~" }, { "1.0", "1.0a" }, { "1.0a", "1.0+" },
  { "1.0-1", "1.0-2" }, { "1.0-1", "1.0-1+b1" }, { "1.0", "1.0-1" }, { "9.9", "1:0.1" }, { "1.0-1~bpo", "1.0-1" },
  { "2.36-9+deb12u7", "2.36-9+deb12u10" }, { "12.2.0-9", "12.2.0-14" }, { "1.0-a-1", "1.0-b-1" }, { "0.99", "1.0" },
}
local SAME = { { "1.0", "1.00" }, { "0:1.0", "1.0" }, { "1.0-0", "1.0" }, { "1.0-01", "1.0-1" } }

for _, pair in ipairs(ASCENDING) do
  assert(version.compare(pair[1], pair[2]) < 0, pair[1] .. " is older than " .. pair[2])
  assert(version.compare(pair[2], pair[1]) > 0, pair[2] .. " is newer than " .. pair[1])
end
for _, pair in ipairs(SAME) do
  assert(version.compare(pair[1], pair[2]) == 0, pair[1] .. " is the same as " .. pair[2])
end

ocean.define { type = "version-test", blueprints = {}, mapping = { resources = {} } }
ocean.on_resync(function() return {} end)
