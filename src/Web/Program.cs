using TokenMill.Shared.CommandLine;
using TokenMill.Web.Accounts;
using TokenMill.Web.Commands;
using TokenMill.Web.Components;
app.MapPlayground();
        app.MapGateway();
        app.MapSettings();
using TokenMill.Web.Hosting;
using TokenMill.Web.Jobs;

namespace TokenMill.Web;

/// <summary>The platform's table of contents: a verb of the command line, or the portal with its features in pipeline order.</summary>
public static class Program
{
    public static async Task<int> Main(string[] args)
    {
        using var interrupted = new CancellationTokenSource();
        if (args is not [var verb, ..] || verb.StartsWith('-')) return await PlatformHost.RunAsync(args, Build);

        Console.CancelKeyPress += (_, e) =>
        {
            e.Cancel = true;
            interrupted.Cancel();
        };
        return await CommandLineHost.RunAsync("Web", Verbs.All, args, interrupted.Token);
    }

    /// <summary>The portal on a data directory that is open; not started yet.</summary>
    public static WebApplication Build(PlatformOptions options, DataDirectory data)
    {
        var builder = PlatformHost.CreateBuilder(options, data);
        builder.Services
            .AddAccounts(data)
            .AddPortal()
            .AddHome()
            .AddFineTuning(data.Root)
            .AddDeployments()
            .AddPlayground()
            .AddGateway()
            .AddJobs(data.QueueDatabase)
            .AddApiKeys()
            .AddUsers()
            .AddSettings();

        var app = builder.Build();
        app.UsePlatform();
        app.MapAccounts();
<<<<<<< HEAD
        app.MapAdmin();
        app.MapPlayground();
        app.MapGateway();
=======
        app.MapSettings();
>>>>>>> 2788a3b (Home, people, API keys, settings)
        app.MapPortal();
        return app;
    }
}
