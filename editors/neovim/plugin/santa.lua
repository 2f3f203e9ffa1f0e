-- Starts santa-lsp with the defaults, or with vim.g.santa, unless the user's configuration calls
-- require('santa').setup() itself.
if vim.g.loaded_santa then
  return
end
vim.g.loaded_santa = true

local function start()
  local santa = require('santa')
  if not santa.is_set_up() then
    santa.setup(vim.g.santa)
  end
end

if vim.fn.has('nvim-0.10') == 0 then
  vim.notify('santa-lsp needs Neovim 0.10 or newer', vim.log.levels.ERROR)
elseif vim.v.vim_did_enter == 1 then
  vim.schedule(start) -- a plugin manager that loads us late calls setup() right after this file
else
  vim.api.nvim_create_autocmd('VimEnter', { once = true, callback = start })
end
