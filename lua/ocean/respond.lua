-- Calls a route's handler and hands what it returns to the answer.
local _, I = ...

return function(handler, request) I.answer(request, handler(request)) end
