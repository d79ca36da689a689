// Runs before the first paint: the chosen theme without a flash, and the reader's time zone for the server.
// A click on [data-choose-theme] or [data-choose-language] is remembered in a cookie; Ctrl-K opens the search; Enter in a
// [data-enter-sends] presses the button of its form. A form of a page that is not connected yet keeps what was typed.
(() => {
  const cookie = name => document.cookie.split('; ').find(c => c.startsWith(name + '='))?.slice(name.length + 1);
  const remember = (name, value) => { document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`; };
  const dark = matchMedia('(prefers-color-scheme: dark)');

  const applyTheme = () => {
    const chosen = cookie('theme') ?? 'system';
    const theme = chosen === 'system' ? (dark.matches ? 'dark' : 'light') : chosen;
    document.documentElement.dataset.theme = theme;
    document.documentElement.dataset.themeChoice = chosen;
  };
  applyTheme();
  dark.addEventListener('change', applyTheme);

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && decodeURIComponent(cookie('timezone') ?? '') !== zone) remember('timezone', encodeURIComponent(zone));

  document.addEventListener('click', e => {
    const theme = e.target.closest('[data-choose-theme]')?.dataset.chooseTheme;
    if (theme) { remember('theme', theme); applyTheme(); return; }
    const language = e.target.closest('[data-choose-language]')?.dataset.chooseLanguage;
    if (language) { remember('language', language); location.reload(); return; }
    const copied = e.target.closest('[data-copy]');
    if (copied) { navigator.clipboard?.writeText(copied.dataset.copy); copied.dataset.copied = 'true'; setTimeout(() => delete copied.dataset.copied, 1500); }
    // A menu closes when something else is clicked.
    for (const menu of document.querySelectorAll('details[data-menu][open]')) if (!menu.contains(e.target) || e.target.closest('a')) menu.open = false;
  });
  document.addEventListener('keydown', e => {
    if ((e.ctrlKey || e.metaKey) && e.key === 'k') { e.preventDefault(); document.querySelector('[data-search]')?.click(); return; }
    if (e.key === 'Enter' && !e.shiftKey && !e.isComposing && e.target.matches('[data-enter-sends]')) {
      e.preventDefault();
      e.target.dispatchEvent(new Event('change', { bubbles: true }));      // brings the text to the server, which a key alone does not
      e.target.form.querySelector('[type=submit]').click();
      return;
    }
    if (e.key !== 'Escape') return;
    for (const menu of document.querySelectorAll('details[data-menu][open]')) { menu.open = false; menu.querySelector('summary').focus(); }
  });
  document.addEventListener('submit', e => { if (e.target.closest('.app[data-interactive=false]')) e.preventDefault(); });
})();
