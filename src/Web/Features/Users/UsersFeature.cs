using TokenMill.Shared.Domain;
using TokenMill.Web.Components;
using TokenMill.Web.Components.Layout;

namespace TokenMill.Web.Features.Users;

/// <summary>The people of a workspace: invite, change a role, give a new password, deactivate.</summary>
public static class UsersFeature
{
    public static IServiceCollection AddUsers(this IServiceCollection services)
    {
        services.AddSingleton<InviteUser>().AddSingleton<ChangeRole>().AddSingleton<SetUserActive>().AddSingleton<ResetPassword>();
        services.AddSingleton(new NavigationEntry(PipelineStep.Run, "People", Links.Users, Icons.Users) { Order = 80, Minimum = Role.Administrator });
        return services;
    }
}
