using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;

namespace TokenMill.Web.Features.ApiKeys;

/// <summary>Makes keys, shows a new one once, revokes.</summary>
public sealed partial class KeysPage
{
    private IReadOnlyList<Row>? _keys;
    private CreateApiKey.Created? _created;
    private string _name = "";
    private string? _error;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(ApiKey) };
    protected override Role Minimum => Role.Member;

    protected override async Task LoadAsync(Actor actor)
    {
        await using var db = Database.Open(actor.WorkspaceId);
        var keys = await db.ApiKeys.AsNoTracking()
            .GroupJoin(db.Users, k => k.CreatedBy, u => u.Id, (k, users) => new { k, users })
            .SelectMany(x => x.users.DefaultIfEmpty(), (x, user) => new { x.k, Creator = user == null ? "" : user.DisplayName })
            .ToListAsync(Gone);
        _keys = [.. keys.OrderBy(x => x.k.RevokedAt is not null).ThenByDescending(x => x.k.CreatedAt)
            .Select(x => new Row(x.k.Id, x.k.Name, x.k.Prefix, x.Creator, x.k.CreatedAt, x.k.LastUsedAt, x.k.RevokedAt, x.k.CreatedBy == actor.UserId || actor.May(Role.Administrator)))];
    }

    private async Task CreateAsync()
    {
        var result = await CreateApiKey.HandleAsync(await CurrentUser.RequireAsync(Role.Member, Gone), new CreateApiKey.Command(_name), Gone);
        _error = result.Error is { } error ? L[error.Message].Value : null;
        if (!result.IsOk) return;
        (_created, _name) = (result.Value, "");
        await ReloadAsync();
    }

    private async Task RevokeAsync(Row key)
    {
        if (!await Confirm.AskAsync(L["Revoke {0}?", key.Name], L["Programs that use it are refused from now on. This cannot be undone."], L["Revoke"])) return;
        (await RevokeApiKey.HandleAsync(await CurrentUser.RequireAsync(Role.Member, Gone), key.Id, Gone)).OrThrow();
        await ReloadAsync();
    }

    private sealed record Row(ApiKeyId Id, string Name, string Prefix, string Creator, DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? RevokedAt, bool Revocable);
}
