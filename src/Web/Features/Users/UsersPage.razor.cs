using Microsoft.EntityFrameworkCore;
using TokenMill.Shared.Domain;
using TokenMill.Web.Accounts;
using TokenMill.Web.Components;

namespace TokenMill.Web.Features.Users;

/// <summary>Who is in the workspace and what they may do.</summary>
public sealed partial class UsersPage
{
    private IReadOnlyList<Person>? _people;
    private InviteUser.Invited? _invited;
    private Error? _error;
    private string _workspace = "", _name = "", _email = "";
    private Role _role = Role.Member;

    protected override IReadOnlySet<Type> Watches { get; } = new HashSet<Type> { typeof(Membership), typeof(AuditEntry) };
    protected override Role Minimum => Role.Administrator;

    protected override async Task LoadAsync(Actor actor)
    {
        _workspace = actor.WorkspaceName;
        await using var db = Database.Open(actor.WorkspaceId);
        _people = await db.Memberships.Join(db.Users, m => m.UserId, u => u.Id, (m, u) => new { m, u })
            .OrderBy(x => x.u.DisplayName)
            .Select(x => new Person(x.u.Id, x.u.DisplayName, x.u.Email ?? "", x.m.Role, x.u.DeactivatedAt == null, x.u.MustChangePassword, x.m.CreatedAt, x.u.Id == actor.UserId))
            .ToListAsync(Gone);
    }

    private Task InviteAsync() => DoAsync(async actor =>
    {
        var result = await InviteUser.HandleAsync(actor, new InviteUser.Command(_name, _email, _role), Gone);
        if (!result.IsOk) return result.Error;
        (_invited, _name, _email, _role) = (result.Value, "", "", Role.Member);
        return null;
    });

    private Task ChangeRoleAsync(Person person, Role role) => DoAsync(async actor => (await ChangeRole.HandleAsync(actor, new ChangeRole.Command(person.Id, role), Gone)).Error);

    private async Task SetActiveAsync(Person person)
    {
        if (person.IsActive && !await Confirm.AskAsync(L["Deactivate {0}?", person.Name], L["They are signed out and cannot sign in; what they made stays. You can let them in again."], L["Deactivate"])) return;
        await DoAsync(async actor => (await SetUserActive.HandleAsync(actor, new SetUserActive.Command(person.Id, !person.IsActive), Gone)).Error);
    }

    private async Task ResetAsync(Person person)
    {
        if (!await Confirm.AskAsync(L["New password for {0}?", person.Name], L["Their password ends now; you get a one-time password to hand over."], L["New password"])) return;
        await DoAsync(async actor =>
        {
            var result = await ResetPassword.HandleAsync(actor, person.Id, Gone);
            if (result.IsOk) _invited = result.Value;
            return result.Error;
        });
    }

    private async Task DoAsync(Func<Actor, Task<Error?>> action)
    {
        _error = await action(await CurrentUser.RequireAsync(Role.Administrator, Gone));
        await ReloadAsync();
    }

    private sealed record Person(UserId Id, string Name, string Email, Role Role, bool IsActive, bool Invited, DateTimeOffset CreatedAt, bool IsSelf)
    {
        public Tone Tone => !IsActive ? Tone.Neutral : Invited ? Tone.Waiting : Tone.Good;
        public string Word => !IsActive ? "Deactivated" : Invited ? "Invited" : "Active";
    }
}
