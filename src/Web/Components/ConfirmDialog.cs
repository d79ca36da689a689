using Radzen;

namespace TokenMill.Web.Components;

/// <summary>Asks before something is lost: <c>if (await Confirm.AskAsync(L["Delete {0}?", name], L["Its 3 versions are lost."], L["Delete"])) …</c></summary>
public sealed class ConfirmDialog(DialogService dialogs)
{
    /// <param name="title">The question.</param>
    /// <param name="loss">What will be lost, in one sentence.</param>
    /// <param name="action">The verb on the button.</param>
    /// <param name="typeName">When given, must be typed before the button works.</param>
    public async Task<bool> AskAsync(string title, string loss, string action, string? typeName = null) =>
        await dialogs.OpenAsync<ConfirmBody>(title, new Dictionary<string, object?>
        {
            [nameof(ConfirmBody.Loss)] = loss, [nameof(ConfirmBody.Action)] = action, [nameof(ConfirmBody.TypeName)] = typeName,
        }, new DialogOptions { Width = "min(440px, calc(100vw - 32px))", CloseDialogOnEsc = true, AutoFocusFirstElement = true, CloseTabIndex = -1 }) is true;
}
