-- A stream is an object that is called for its next item: `for page in stream do ... end`. It ends with nil.
local _, I = ...

local Stream = {}
Stream.__index = Stream
Stream.__name = "ocean.stream"

function Stream:close()
  self.next = nil
end

-- for page in stream:each() do ... end: leaving the loop early closes the stream.
function Stream:each()
  return self, nil, nil, self
end

function Stream:__call()
  if not self.next then return nil end
  local item = self.next()
  if item == nil then self.next = nil end
  return item
end

Stream.__close = Stream.close

return function(next)
  return setmetatable({ next = next }, Stream)
end
