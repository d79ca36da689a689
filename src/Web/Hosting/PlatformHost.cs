using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.HttpOverrides;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Persistence;
using TokenMill.Web.Accounts;
using TokenMill.Web.Localisation;

namespace TokenMill.Web.Hosting;

/// <summary>Starts the portal: data directory, database, web server; every expected failure is one line on stderr.</summary>
public static class PlatformHost
{
    public static async Task<int> RunAsync(string[] args, Func<PlatformOptions, DataDirectory, WebApplication> build)
    {
        if (args.Any(a => a is "--help" or "-h"))
        {
            Console.Out.WriteLine($"usage: {PlatformOptions.Usage}");
            return CommandLineHost.Done;
        }
        try
        {
            var options = PlatformOptions.Parse(args);
            using var data = DataDirectory.Open(options.DataPath);
            await using var app = build(options, data);
            await StartAsync(app, options);
            Welcome(app);
            await app.WaitForShutdownAsync();
            return CommandLineHost.Done;
        }
        catch (UsageException e)
        {
            Console.Error.WriteLine($"error: wrong-usage: {e.Message}; usage: {PlatformOptions.Usage}");
            return CommandLineHost.WrongUsage;
        }
        catch (RefusedException e)
        {
            Console.Error.WriteLine($"error: {e.Error}");
            return CommandLineHost.Refused;
        }
    }

    /// <summary>Migrates the database and listens.</summary>
    public static async Task StartAsync(WebApplication app, PlatformOptions options)
    {
        await app.Services.GetRequiredService<PlatformDatabase>().MigrateAsync(CancellationToken.None);
        await app.Services.GetRequiredService<SetupToken>().PrepareAsync(CancellationToken.None);
        try
        {
            await app.StartAsync();
        }
        catch (IOException e) when (e.InnerException is AddressInUseException)
        {
            throw new RefusedException(new Error("port-taken", $"Another program listens on {options.Urls}", "stop it, or choose another port with --port N"), e);
        }
        catch (UriFormatException e)
        {
            throw new RefusedException(new Error("bad-address", $"'{options.Urls}' is no address to listen on: {e.Message}", "write --urls http://HOST:PORT"), e);
        }
    }

    public static WebApplicationBuilder CreateBuilder(PlatformOptions options, DataDirectory data)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions
        {
            ApplicationName = typeof(PlatformHost).Assembly.GetName().Name,
            ContentRootPath = AppContext.BaseDirectory,
            EnvironmentName = Environments.Production,
        });
        builder.WebHost.UseStaticWebAssets();              // run from the build output, the assets still lie in the sources
        builder.WebHost.UseUrls(options.Urls.Split(';'));
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        builder.Logging.ClearProviders().AddSimpleConsole(console => console.SingleLine = true)
            .AddFilter("Microsoft", LogLevel.Warning).AddFilter("Quartz", LogLevel.Warning)
            .AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);      // warns that keys lie in files; the folder is private
        builder.Services.AddSingleton(options).AddSingleton(data).AddSingleton(TimeProvider.System);
        builder.Services.AddSingleton(_ => new PlatformDatabase(data.Database));     // made by the container, so that it is closed by it
        builder.Services.AddDataProtection().SetApplicationName("TokenMill").PersistKeysToFileSystem(new DirectoryInfo(data.Keys));
        builder.Services.AddSingleton<OriginCheck>();
        builder.Services.AddHealthChecks();
        builder.Services.Configure<ForwardedHeadersOptions>(o => o.ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto);
        builder.Services.Configure<HostOptions>(o => o.ShutdownTimeout = TimeSpan.FromSeconds(30));
        return builder;
    }

    /// <summary>What every request passes, in this order.</summary>
    public static void UsePlatform(this WebApplication app)
    {
        app.UseForwardedHeaders();
        app.UseMiddleware<SecurityHeaders>();
        app.UseExceptionHandler("/error", createScopeForErrors: true);
        app.UseStatusCodePagesWithReExecute("/error/{0}");
        app.UseMiddleware<OriginCheck.Middleware>();
        app.UseReaderCulture();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseAntiforgery();
        app.MapHealthChecks("/health").AllowAnonymous();
    }

    private static void Welcome(WebApplication app)
    {
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        address = address.Replace("[::]", "localhost", StringComparison.Ordinal).Replace("0.0.0.0", "localhost", StringComparison.Ordinal);
        Console.Out.WriteLine($"TokenMill is ready: {address}");
        if (app.Services.GetRequiredService<SetupToken>().Link(address) is { } link)
            Console.Out.WriteLine($"First administrator, once: {link}");
        Console.Out.Flush();
    }
}
