-- The benchmark's integration: items of about 1 KB in pages, fifteen mapped fields, one blueprint.
local ocean = require "ocean"

local text = { type = "string" }
ocean.define {
  type = "bench",
  version = "1.0.0",
  blueprints = { {
    identifier = "item", title = "Item",
    schema = { properties = {
      url = text, state = text, number = { type = "number" }, score = { type = "number" }, owner = text, email = text,
      team = text, labels = { type = "array" }, description = text, created = text, updated = text,
      archived = { type = "boolean" },
    } },
  } },
  mapping = { resources = { {
    kind = "item", selector = { query = ".archived | not" },
    port = { entity = { mappings = {
      identifier = ".id", title = ".name", blueprint = '"item"',
      properties = {
        url = ".url", state = ".state", number = ".number", score = ".score", owner = ".owner.login",
        email = ".owner.email", team = ".owner.team", labels = ".labels", description = ".description",
        created = ".created_at", updated = ".updated_at", archived = ".archived",
      },
    } } },
  } } },
}

ocean.on_resync("item", function()
  local api = ocean.http.client { base_url = os.getenv("BENCH_SOURCE") }
  for page in ocean.paginate.page(api, "/items", { size = tonumber(os.getenv("BENCH_PAGE") or 100) }) do
    ocean.yield(page)
  end
end)
