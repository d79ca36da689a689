using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Components.Layout;

/// <summary>Ctrl-K: goes to a page or a thing by a part of its name, without a mouse.</summary>
public sealed partial class Search
{
    private IReadOnlyList<SearchIndex.Hit> _hits = [];
    private ElementReference _input;
    private string _text = "";
    private int _selected;
    private bool _open, _focus;

    [Inject] private SearchIndex Index { get; set; } = default!;
    [Inject] private CurrentUser CurrentUser { get; set; } = default!;
    [Inject] private NavigationManager Navigation { get; set; } = default!;

    private async Task OpenAsync()
    {
        (_open, _focus, _text) = (true, true, "");
        await FindAsync();
    }

    private void Close() => _open = false;

    private async Task TypeAsync(ChangeEventArgs e)
    {
        _text = (string?)e.Value ?? "";
        await FindAsync();
    }

    private async Task FindAsync()
    {
        _hits = await Index.FindAsync(await CurrentUser.RequireAsync(Role.Viewer), _text, CancellationToken.None);
        _selected = 0;
    }

    private void Go()
    {
        if (_hits.Count == 0) return;
        Close();
        Navigation.NavigateTo(_hits[_selected].Href);
    }

    private void Key(KeyboardEventArgs e)
    {
        switch (e.Key)
        {
            case "Escape": Close(); break;
            case "ArrowDown": _selected = Math.Min(_selected + 1, Math.Max(0, _hits.Count - 1)); break;
            case "ArrowUp": _selected = Math.Max(0, _selected - 1); break;
            case "Enter": Go(); break;
        }
    }

    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!_focus) return;
        _focus = false;
        await _input.FocusAsync();
    }
}
