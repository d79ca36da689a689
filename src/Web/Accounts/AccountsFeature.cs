using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Server.Circuits;
using Microsoft.AspNetCore.Identity;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Accounts;

/// <summary>People: the first administrator, signing in and out, passwords, roles. Pages: /setup, /sign-in, /account/password.</summary>
public static class AccountsFeature
{
    private static readonly TimeSpan Lockout = TimeSpan.FromMinutes(10);

    public static IServiceCollection AddAccounts(this IServiceCollection services, DataDirectory data)
    {
        // Identity's store wants a context of the request; everything else opens its own.
        services.AddScoped(provider => provider.GetRequiredService<PlatformDatabase>().Open(WorkspaceScope.All));
        services.AddAuthentication(IdentityConstants.ApplicationScheme).AddIdentityCookies();
        services.AddIdentityCore<User>(options =>
        {
            options.User.RequireUniqueEmail = true;
            options.Password.RequiredLength = 10;
            options.Password.RequiredUniqueChars = 5;
            options.Password.RequireNonAlphanumeric = options.Password.RequireUppercase = options.Password.RequireLowercase = options.Password.RequireDigit = false;
            options.Lockout.MaxFailedAccessAttempts = 5;
            options.Lockout.DefaultLockoutTimeSpan = Lockout;
        }).AddEntityFrameworkStores<PlatformDbContext>().AddSignInManager().AddDefaultTokenProviders();
        services.ConfigureApplicationCookie(Configure);
        services.Configure<SecurityStampValidatorOptions>(options => options.ValidationInterval = TimeSpan.FromSeconds(30));
        services.AddAuthorization(Policies.Add);
        services.AddSingleton<IAuthorizationHandler, RoleHandler>();
        services.AddCascadingAuthenticationState();
        services.AddScoped<AuthenticationStateProvider, RevalidatingSignIn>();
        services.AddSingleton<Access>().AddSingleton<SetupToken>().AddScoped<CurrentUser>();
        services.AddSingleton<CircuitLimit>().AddScoped<CircuitHandler, CircuitLimit.Handler>();
        services.AddScoped<SetUpPlatform>().AddScoped<SignIn>().AddScoped<ChangePassword>();
        return services;
    }

    public static void MapAccounts(this WebApplication app) =>
        app.MapPost("/sign-out", async (HttpContext context, IAntiforgery antiforgery, SignInManager<User> signIn) =>
        {
            if (!await antiforgery.IsRequestValidAsync(context)) return Results.BadRequest();
            await signIn.SignOutAsync();
            return Results.LocalRedirect("/sign-in");
        }).AllowAnonymous();

    private static void Configure(CookieAuthenticationOptions options)
    {
        options.Cookie.Name = "tokenmill";
        options.Cookie.HttpOnly = true;
        options.Cookie.SameSite = SameSiteMode.Lax;
        options.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        options.LoginPath = "/sign-in";
        options.ReturnUrlParameter = "return";
        options.ExpireTimeSpan = TimeSpan.FromDays(14);
        options.SlidingExpiration = true;
        options.Events.OnRedirectToLogin = context => AnswerAsync(context, StatusCodes.Status401Unauthorized);
        options.Events.OnRedirectToAccessDenied = async context =>
        {
            var users = context.HttpContext.RequestServices.GetRequiredService<UserManager<User>>();
            var user = await users.GetUserAsync(context.HttpContext.User);
            if (user is { MustChangePassword: true } && IsPage(context.Request)) context.Response.Redirect("/account/password");
            else context.Response.StatusCode = StatusCodes.Status403Forbidden;
        };
    }

    /// <summary>A page sends people to the sign-in; a program gets the status.</summary>
    private static Task AnswerAsync(RedirectContext<CookieAuthenticationOptions> context, int status)
    {
        if (IsPage(context.Request)) context.Response.Redirect(context.RedirectUri);
        else context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private static bool IsPage(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && request.Headers.Accept.ToString().Contains("text/html", StringComparison.OrdinalIgnoreCase) && !OriginCheck.Guards(request);
}
