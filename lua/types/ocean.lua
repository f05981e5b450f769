---@meta ocean
-- The ocean library as editors see it (LuaLS). Every public function stands here once, with its arguments, what it
-- gives, whether it waits (@async) and an example; a test compares this file with the live table both ways.

---@alias ocean.Json any JSON value: a scalar, or an object or array that reads and writes like a table
---@alias ocean.Batch ocean.Json|table[] a list of objects
---@alias ocean.Path string|fun(value: ocean.Json, res: ocean.http.Response): any "data.items", or a function

---The library: a global, and what `require "ocean"` returns.
---@class ocean
---@field version string version of the runtime
---@field null lightuserdata JSON's null; the same value as `cjson.null`
---@field config table<string, any> the integration's configuration, in snake_case and camelCase; unknown names are nil
---@field event ocean.Event? the event the running handler belongs to; nil outside one
ocean = {}

ocean.version = ""
ocean.null = nil
ocean.config = {}

---What a handler runs in. Every name also answers in camelCase.
---@class ocean.Event
---@field id string UUID
---@field type string "resync", "start" ...
---@field event_type string the same
---@field trigger_type string "machine", "manual", "request"
---@field attributes table values of this event; a child starts with a copy of its parent's
---@field port_app_config ocean.Json the mapping document; an error when none was loaded
---@field resource_config ocean.Json? the resource being processed
---@field kind string? its kind
---@field index integer? its position in the mapping
---@field parent ocean.Event?
---@field parent_id string?
---@field aborted boolean

-- Routes --------------------------------------------------------------------------------------------------------

---A request of a route. What is read after the answer raises.
---@class ocean.Request
---@field id string the request's id, also in X-Request-ID and in the log
---@field method string
---@field path string raw, without the query
---@field url string
---@field params table<string, string> {name} of the path, decoded
---@field query table<string, string> first value of each parameter, decoded
---@field query_all fun(self: ocean.Request, name: string): string[] all values of one
---@field headers table<string, string> found in any case
---@field cookies table<string, string>
---@field body string raw bytes, as signatures need them
---@field json ocean.Json the body as JSON; if it is none the caller gets 422
---@field peer string address and port

---Routes under {path_prefix}/integration. A handler returns a value (200 and JSON; nil is null), or a status, a body and
---headers: a string is sent as it is (text/plain unless Content-Type says otherwise), everything else as JSON. It may
---wait. An error is a 500 to the caller and a log line with the place; `error(ocean.error("request", "no such thing",
---{ status = 404 }))` chooses the status. The first route that fits serves; {name} is one segment, {name:path} the rest.
ocean.router = {}

---Registers a route for GET.
---
---    ocean.router.get("/items/{id}", function(req) return { id = req.params.id } end)
---@param path string
---@param handler fun(req: ocean.Request): any, any, table?
function ocean.router.get(path, handler) end

---Registers a route for POST.
---
---    ocean.router.post("/webhook", function(req) ocean.register_raw("issue", { req.json.issue }) end)
---@param path string
---@param handler fun(req: ocean.Request): any, any, table?
function ocean.router.post(path, handler) end

---Registers a route for PUT.
---
---    ocean.router.put("/items/{id}", function(req) return 204 end)
---@param path string
---@param handler fun(req: ocean.Request): any, any, table?
function ocean.router.put(path, handler) end

---Registers a route for PATCH.
---
---    ocean.router.patch("/items/{id}", function(req) return 200, "done" end)
---@param path string
---@param handler fun(req: ocean.Request): any, any, table?
function ocean.router.patch(path, handler) end

---Registers a route for DELETE.
---
---    ocean.router.delete("/items/{id}", function(req) return 204 end)
---@param path string
---@param handler fun(req: ocean.Request): any, any, table?
function ocean.router.delete(path, handler) end

---Registers a route for HEAD.
---
---    ocean.router.head("/items", function(req) return 200 end)
---@param path string
---@param handler fun(req: ocean.Request): any, any, table?
function ocean.router.head(path, handler) end

---Registers a route for OPTIONS.
---
---    ocean.router.options("/webhook", function(req) return 200, nil, { ["WebHook-Allowed-Origin"] = "*" } end)
---@param path string
---@param handler fun(req: ocean.Request): any, any, table?
function ocean.router.options(path, handler) end

-- Entities one call at a time ----------------------------------------------------------------------------------

---Who an entity belongs to: entities of one are never listed, compared or deleted for the other.
ocean.user_agent = {}
ocean.user_agent.exporter = "exporter"
ocean.user_agent.gitops = "gitops"

---@alias ocean.Agent "exporter"|"gitops"
---@alias ocean.Written { identifier: any, blueprint: string, relations: table }[]
---@alias ocean.Failed { identifier: any, blueprint: string, status: integer, message: string }[] status 0: no answer

---Maps raw items with every resource of the kind and writes the entities; those that fail the selector of every resource
---and belong to this integration are deleted. Items that cannot be mapped raise at the end, with `written` and `failed`
---in the error. Callable from handlers, hooks and routes.
---
---    local written, failed = ocean.register_raw("repository", { req.json.repository })
---@async
---@param kind string
---@param items ocean.Batch
---@param user_agent? ocean.Agent
---@return ocean.Written written
---@return ocean.Failed failed
function ocean.register_raw(kind, items, user_agent) end

---Maps raw items and deletes the entities, without asking who owns them. Items that fail the selector are left alone.
---
---    ocean.unregister_raw("repository", { req.json.repository })
---@async
---@param kind string
---@param items ocean.Batch
---@param user_agent? ocean.Agent
---@return ocean.Written deleted
---@return ocean.Failed failed
function ocean.unregister_raw(kind, items, user_agent) end

---Maps both lists, writes what is in `after` and deletes what is in `before` alone.
---
---    ocean.update_raw_diff("repository", { before = { old }, after = { new } })
---@async
---@param kind string
---@param diff { before: ocean.Batch, after: ocean.Batch }
---@param user_agent? ocean.Agent
---@return ocean.Written written
---@return ocean.Failed failed
function ocean.update_raw_diff(kind, diff, user_agent) end

---Writes entities as they are: { identifier, blueprint, title, icon, team, properties, relations }.
---
---    ocean.register({ { identifier = "api", blueprint = "service", properties = { tier = 1 } } })
---@async
---@param entities ocean.Batch
---@param user_agent? ocean.Agent
---@return ocean.Written written
---@return ocean.Failed failed
function ocean.register(entities, user_agent) end

---Deletes entities by identifier and blueprint.
---
---    ocean.unregister({ { identifier = "api", blueprint = "service" } })
---@async
---@param entities ocean.Batch
---@param user_agent? ocean.Agent
---@return ocean.Written deleted
---@return ocean.Failed failed
function ocean.unregister(entities, user_agent) end

---Writes what is in `after` and deletes what is in `before` alone, unless a written entity relates to it. Entities in
---neither list are not touched.
---
---    ocean.update_diff({ before = old, after = new })
---@async
---@param diff { before: ocean.Batch, after: ocean.Batch }
---@param user_agent? ocean.Agent
---@return ocean.Written written
---@return ocean.Failed failed
function ocean.update_diff(diff, user_agent) end

---Makes Port hold exactly these entities of the integration: writes them and deletes the others, as far as the mapping's
---entityDeletionThreshold allows. If Port's list cannot be read nothing is written and it raises.
---
---    ocean.sync(entities, ocean.user_agent.gitops)
---@async
---@param entities ocean.Batch
---@param user_agent? ocean.Agent
---@return ocean.Written written
---@return ocean.Failed failed
function ocean.sync(entities, user_agent) end

---Runs a whole resync and waits for its end; one that runs is replaced. True if it went well, and its summary.
---
---    local ok, summary = ocean.sync_raw_all()
---@async
---@return boolean ok
---@return table summary
function ocean.sync_raw_all() end

-- Handlers --------------------------------------------------------------------------------------------------

---Registers a handler of one kind, or of every kind. It may return a list (one batch), a function or stream that gives
---batches until nil, or nothing and use `ocean.yield`. Several handlers of a kind run in the order of registration,
---those of the kind before those of every kind.
---
---    ocean.on_resync("repository", function(kind)
---      for page in ocean.paginate.link(api, "/repos") do ocean.yield(page) end
---    end)
---@param kind string
---@param handler fun(kind: string): ocean.Batch|fun(): ocean.Batch?|nil
---@overload fun(handler: fun(kind: string): ocean.Batch|fun(): ocean.Batch?|nil)
function ocean.on_resync(kind, handler) end

---Registers a handler that runs once after the start, beside everything else. An error in it is logged.
---
---    ocean.on_start(function() ocean.log.info("started") end)
---@param handler fun()
function ocean.on_start(handler) end

---Registers a handler that runs before the resources of each resync.
---
---    ocean.on_resync_start(function() ocean.event.attributes.cache = {} end)
---@param handler fun()
function ocean.on_resync_start(handler) end

---Registers a handler that runs after a resync that ended well.
---
---    ocean.on_resync_complete(function() ocean.log.info("done") end)
---@param handler fun()
function ocean.on_resync_complete(handler) end

---Hands a batch of raw items over, and waits while the pipeline is full. The batch is as it is now: later writes do not
---reach it. What is no list of objects is an error of the resource, not of the handler.
---
---    ocean.yield(page)
---@async
---@param batch ocean.Batch
---@param options? table reserved
function ocean.yield(batch, options) end

---Waits.
---
---    ocean.sleep(0.5)
---@async
---@param seconds number 0 to 86400
function ocean.sleep(seconds) end

-- Side by side ---------------------------------------------------------------------------------------------

---Runs functions side by side and waits for all of them. Gives a list of their first results in the order of the
---functions: further results are dropped, and one that returns nothing or nil leaves nil at its place.
---
---Each is a task of its own with its own CPU limit; it belongs to the handler's event and resource, so `ocean.yield`,
---`ocean.event` and failures of HTTP calls count as if the handler itself had done them. The first error cancels the
---others (their waiting calls raise `cancelled`), waits until all are over, and is raised as it was, with the line it
---came from; a handler that is cancelled cancels them likewise. They may call `ocean.parallel` themselves, up to 100
---levels deep.
---
---    local users, groups = table.unpack(ocean.parallel {
---      function() return api:json("GET", "/users") end,
---      function() return api:json("GET", "/groups") end,
---    }, 1, 2)
---@async
---@param list (fun(): any)[]
---@return any[] results
function ocean.parallel(list) end

---@class ocean.MapOptions
---@field errors? "raise"|"collect"|"skip" what an error of one item does; "raise"

---Calls a function for each item of a list, at most `n` at a time. Gives a list of its first results in the order of
---the items; nil leaves nil at its place.
---
---`errors = "raise"`: the first error cancels the others and is raised as it was. `"collect"`: all items are tried,
---then one error is raised whose `errors` is a list of `{ index =, error = }`. `"skip"`: a failed item is logged and is
---not in the results, so that the list is shorter; since what it stands for may still exist, nothing of the resource's
---is deleted in this resync.
---
---    local details = ocean.map(page, 10, function(repo) return api:json("GET", "/repos/" .. repo.name) end)
---@async
---@generic T, R
---@param list T[]|ocean.Json
---@param n integer 1 to 10000
---@param fn fun(item: T, index: integer): R
---@param options? ocean.MapOptions
---@return R[] results
function ocean.map(list, n, fn, options) end

---A function that runs by itself beside the handler.
---@class ocean.Task
local Task = {}

---Starts a function beside the caller, as a task of its own (see `ocean.parallel`), and returns at once.
---
---The handler is not over, and its resource not complete, before everything it spawned is: what such a task yields
---counts, and an error of it that nobody has joined is an error of the handler. The tasks of a handler that fails or
---is cancelled are cancelled; the others go on when one of them fails. A task may be joined from anywhere, also from
---another task and after its handler.
---
---    local task = ocean.spawn(function() return api:json("GET", "/labels") end)
---    for page in ocean.paginate.link(api, "/issues") do ocean.yield(page) end
---    local labels = task:join()
---@param fn fun(...: any): ...
---@param ... any arguments of the function
---@return ocean.Task
function ocean.spawn(fn, ...) end

---Waits until the task is over. Gives everything its function returned, or raises its error as it was; `cancelled` when
---the task was cancelled. Tasks that would wait for each other get an error that says so.
---
---    local labels = task:join()
---@async
---@return any ...
function Task:join() end

---Asks the task to end: its waiting call raises `cancelled`, and after three seconds it is ended wherever it is. Returns
---at once; `join` waits for the end. No error of the handler; what the task did not do is for the script to know.
---
---    task:cancel()
function Task:cancel() end

-- Declarations and values -----------------------------------------------------------------------------------

---@class ocean.Definition
---@field type? string
---@field version? string
---@field blueprints? table[] as in .port/resources/blueprints.json
---@field mapping? table as in .port/resources/port-app-config.yml
---@field config? table[] declarations of configuration, as in .port/spec.yaml

---Declares inline what would else stand in the .port folder.
---
---    ocean.define { blueprints = { { identifier = "repo", title = "Repository", schema = { properties = {} } } } }
---@param definition ocean.Definition
function ocean.define(definition) end

---Marks a table as a JSON array, which matters when it is empty. Returns it.
---
---    ocean.json.encode { tags = ocean.array {} }   --> {"tags":[]}
---@generic T: table
---@param list? T
---@return T
function ocean.array(list) end

---@class ocean.Error
---@field kind "http"|"transport"|"timeout"|"too_big"|"parse"|"auth"|"config"|"memory"|"limit"|"cancelled"|string
---@field message string
---@field where string the script's position
---@field status? integer
---@field url? string
---@field retryable? boolean
---@field response? ocean.http.Response

---Makes an error table, to be raised with `error`.
---
---    error(ocean.error("config", "no host is configured"))
---@param kind string
---@param message string
---@param fields? table more fields of the error
---@return ocean.Error
function ocean.error(kind, message, fields) end

-- JSON ------------------------------------------------------------------------------------------------------

ocean.json = {}

---JSON text of a value. An empty table is `{}` unless marked by `ocean.array`.
---
---    ocean.json.encode { id = 1, tags = ocean.array { "a" } }   --> {"id":1,"tags":["a"]}
---@param value any
---@return string
function ocean.json.encode(value) end

---Parses JSON text into a value that is read lazily: null members read as nil, 64-bit integers stay exact.
---
---    local v = ocean.json.decode('{"a":[1,2]}')   -- v.a[2] == 2
---@param text string
---@return ocean.Json
function ocean.json.decode(text) end

---A plain Lua table with everything in it (null is `ocean.null`).
---
---    for k, v in next, ocean.json.table(page[1]) do print(k, v) end
---@param value ocean.Json
---@return any
function ocean.json.table(value) end

---The JSON type of a value, or of its member; nil for what is missing or no JSON.
---
---    ocean.json.type(issue, "assignee")   --> "null", or nil when there is no such member
---@param value any
---@param key? string
---@return "null"|"boolean"|"number"|"string"|"array"|"object"|nil
function ocean.json.type(value, key) end

-- Log -------------------------------------------------------------------------------------------------------

ocean.log = {}

---Writes a line at debug level. Fields follow the text as name=value; secrets are masked.
---
---    ocean.log.debug("page", { n = 3 })
---@param text any
---@param fields? table<string, any>
function ocean.log.debug(text, fields) end

---Writes a line at info level.
---
---    ocean.log.info("fetched", { count = #page })
---@param text any
---@param fields? table<string, any>
function ocean.log.info(text, fields) end

---Writes a line at warning level.
---
---    ocean.log.warning("no owner", { repo = repo.name })
---@param text any
---@param fields? table<string, any>
function ocean.log.warning(text, fields) end

---Writes a line at error level.
---
---    ocean.log.error("cannot read the file", { path = path })
---@param text any
---@param fields? table<string, any>
function ocean.log.error(text, fields) end

-- Authentication --------------------------------------------------------------------------------------------

ocean.auth = {}

---@class ocean.Auth

---`Authorization: Bearer`. A function is called for every request and may wait.
---
---    ocean.http.client { base_url = host, auth = ocean.auth.bearer(ocean.config.token) }
---@param token string|fun(): string
---@return ocean.Auth
function ocean.auth.bearer(token) end

---`Authorization: Basic`.
---
---    ocean.auth.basic(ocean.config.user, ocean.config.password)
---@param user string
---@param password string
---@return ocean.Auth
function ocean.auth.basic(user, password) end

---One header with a secret value.
---
---    ocean.auth.header("PRIVATE-TOKEN", ocean.config.token)
---@param name string
---@param value string|fun(): string
---@return ocean.Auth
function ocean.auth.header(name, value) end

---Several headers with secret values.
---
---    ocean.auth.headers { ["DD-API-KEY"] = api_key, ["DD-APPLICATION-KEY"] = app_key }
---@param map table<string, string|fun(): string>
---@return ocean.Auth
function ocean.auth.headers(map) end

-- HTTP ------------------------------------------------------------------------------------------------------

ocean.http = {}

---@class ocean.http.RetryOptions
---@field attempts? integer repeats after the first try; 10
---@field base? number seconds before the first repeat, doubled each time; 0.1
---@field max? number longest wait in seconds; 60
---@field jitter? number 0 to 0.5; 0.1
---@field respect_headers? boolean obey Retry-After and its like; true
---@field methods? string[] repeated without being asked; HEAD GET PUT DELETE OPTIONS TRACE
---@field statuses? integer[] repeated; 408 429 502 503 504
---@field add_statuses? integer[] more of them
---@field headers? string[] more headers that name a wait
---@field ignore_header_statuses? integer[] statuses whose headers are not obeyed
---@field on_retry? fun(req: table, res: ocean.http.Response?, n: integer): table? may return a changed request

---@class ocean.http.ClientOptions
---@field base_url? string relative URLs start here; headers and auth go to its host only
---@field headers? table<string, string>
---@field auth? ocean.Auth
---@field timeout? number seconds without a byte; OCEAN__CLIENT_TIMEOUT, 60
---@field connect_timeout? number 10
---@field total_timeout? number 600
---@field retry? ocean.http.RetryOptions|false
---@field concurrency? integer connections at a time; 100
---@field verify? boolean check certificates
---@field follow_redirects? boolean false
---@field ignore_status? integer[] statuses that are no failure
---@field proxy? string
---@field ca_file? string
---@field max_size? number bytes of an answer after decompression; 64 MiB
---@field any_host? boolean send headers and auth to every host

---@class ocean.http.CallOptions
---@field params? table<string, any> a list repeats its name
---@field json? any
---@field form? table<string, any>
---@field body? string
---@field headers? table<string, string>
---@field retryable? boolean repeat a POST or PATCH too; false: never repeat
---@field timeout? number
---@field connect_timeout? number
---@field total_timeout? number
---@field ignore_status? integer[]
---@field follow_redirects? boolean
---@field raise? boolean false: give the response whatever its status
---@field max_size? number

---@class ocean.http.RequestOptions: ocean.http.CallOptions
---@field url string
---@field method? string "GET"

---Makes a client of a third-party API.
---
---    local api = ocean.http.client { base_url = ocean.config.host, auth = ocean.auth.bearer(ocean.config.token) }
---@param options? ocean.http.ClientOptions
---@return ocean.http.Client
function ocean.http.client(options) end

---A list that becomes one parameter with commas.
---
---    api:get("/issues", { params = { fields = ocean.http.csv { "id", "title" } } })
---@param list any[]
---@return any
function ocean.http.csv(list) end

---@class ocean.http.Client
local Client = {}

---Sends a request. Raises a transport failure, and a status of 400 and above unless it is ignored or `raise = false`;
---both also hold back deletion in this resync, even when the error is caught.
---
---    local res = api:get("/repos", { params = { per_page = 100 } })
---@async
---@param url string
---@param options? ocean.http.CallOptions
---@return ocean.http.Response
function Client:get(url, options) end

---As `get`.
---
---    api:post("/search", { json = { query = "kind:repo" }, retryable = true })
---@async
---@param url string
---@param options? ocean.http.CallOptions
---@return ocean.http.Response
function Client:post(url, options) end

---As `get`.
---
---    api:put("/hooks/1", { json = hook })
---@async
---@param url string
---@param options? ocean.http.CallOptions
---@return ocean.http.Response
function Client:put(url, options) end

---As `get`.
---
---    api:patch("/hooks/1", { json = { active = true } })
---@async
---@param url string
---@param options? ocean.http.CallOptions
---@return ocean.http.Response
function Client:patch(url, options) end

---As `get`.
---
---    api:delete("/hooks/1")
---@async
---@param url string
---@param options? ocean.http.CallOptions
---@return ocean.http.Response
function Client:delete(url, options) end

---As `get`, with any method.
---
---    api:request { method = "HEAD", url = "/repos" }
---@async
---@param options ocean.http.RequestOptions
---@return ocean.http.Response
function Client:request(options) end

---Sends a request and gives the parsed answer; nil for an ignored status and for an empty body.
---
---    local user = api:json("GET", "/user")
---@async
---@param method string
---@param url string
---@param options? ocean.http.CallOptions
---@return ocean.Json value
---@return ocean.http.Response res
function Client:json(method, url, options) end

---@class ocean.http.Response
---@field status integer
---@field headers table<string, string> names in any case
---@field url string where the answer came from
---@field method string
local Response = {}

---The body.
---
---    print(res:text())
---@return string
function Response:text() end

---The body as a JSON value, a new one with every call. Raises `parse` when it is none.
---
---    local page = res:json()
---@return ocean.Json
function Response:json() end

---The URL of a Link header's relation ("next"), absolute; nil when there is none.
---
---    local following = res:link("next")
---@param rel? string
---@return string?
function Response:link(rel) end

---Raises when the status is 400 or more; gives the response otherwise.
---
---    api:get("/x", { raise = false }):raise()
---@return ocean.http.Response
function Response:raise() end

-- Pagination ------------------------------------------------------------------------------------------------

ocean.paginate = {}

---Called for its next item; nil at the end. `for page in stream do ... end`
---@class ocean.Stream
---@overload fun(): ocean.Batch?
local Stream = {}

---Ends the stream.
---
---    stream:close()
function Stream:close() end

---For `for page in stream:each() do ... end`, which closes the stream when the loop is left early.
---
---    for page in stream:each() do break end
function Stream:each() end

---@class ocean.paginate.Options
---@field params? table<string, any>
---@field headers? table<string, string>
---@field items? ocean.Path where the list is; the answer itself
---@field items_optional? boolean an absent list is an empty one
---@field ignore_status? integer[] end the stream
---@field max_items? integer stop after so many, with a warning; nothing is deleted then
---@field timeout? number
---@field retryable? boolean

---@class ocean.paginate.PageOptions: ocean.paginate.Options
---@field page_param? string "page"
---@field size_param? string|false "per_page"
---@field size? integer 100
---@field start? integer 1
---@field total? ocean.Path number of all items; one that falls meanwhile, or is not reached, holds deletion back
---@field last_page? ocean.Path number of the last page

---@class ocean.paginate.OffsetOptions: ocean.paginate.Options
---@field offset_param? string "offset"
---@field limit_param? string|false "limit"
---@field size? integer 100
---@field start? integer 0
---@field total? ocean.Path
---@field more? ocean.Path true while there are more
---@field last? ocean.Path true on the last page

---@class ocean.paginate.CursorOptions: ocean.paginate.Options
---@field next ocean.Path the cursor of the next page
---@field more? ocean.Path
---@field param? string "cursor"
---@field in_body? boolean send the cursor in the JSON body
---@field json? table body of every request
---@field method? string

---@class ocean.paginate.LinkOptions: ocean.paginate.Options
---@field rel? string "next"

---Pages by number, until an empty page, the total or the last page.
---
---    for page in ocean.paginate.page(api, "/projects", { size = 50 }) do ocean.yield(page) end
---@param client ocean.http.Client
---@param url string
---@param options? ocean.paginate.PageOptions
---@return ocean.Stream
function ocean.paginate.page(client, url, options) end

---Pages by offset and limit.
---
---    for page in ocean.paginate.offset(api, "/issues", { items = "issues", total = "total" }) do ocean.yield(page) end
---@param client ocean.http.Client
---@param url string
---@param options? ocean.paginate.OffsetOptions
---@return ocean.Stream
function ocean.paginate.offset(client, url, options) end

---Pages by a cursor from the answer before.
---
---    for page in ocean.paginate.cursor(api, "/users", { items = "users", next = "meta.next" }) do
---      ocean.yield(page)
---    end
---@param client ocean.http.Client
---@param url string
---@param options ocean.paginate.CursorOptions
---@return ocean.Stream
function ocean.paginate.cursor(client, url, options) end

---Pages by the Link header.
---
---    for page in ocean.paginate.link(api, "/orgs/acme/repos") do ocean.yield(page) end
---@param client ocean.http.Client
---@param url string
---@param options? ocean.paginate.LinkOptions
---@return ocean.Stream
function ocean.paginate.link(client, url, options) end

return ocean
