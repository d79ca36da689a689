using TokenMill.Shared.CommandLine;
using TokenMill.Web.Accounts;
using TokenMill.Web.Commands;
using TokenMill.Web.Components;
using TokenMill.Web.Features.ApiKeys;
using TokenMill.Web.Features.Datasets;
using TokenMill.Web.Features.Deployments;
using TokenMill.Web.Features.Evaluation;
using TokenMill.Web.Features.FineTuning;
using TokenMill.Web.Features.Home;
using TokenMill.Web.Features.Models;
using TokenMill.Web.Features.Playground;
using TokenMill.Web.Features.Settings;
using TokenMill.Web.Features.Users;
using TokenMill.Web.Gateway;
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
            .AddDatasets()
            .AddModels()
            .AddFineTuning()
            .AddEvaluation()
            .AddDeployments()
            .AddPlayground()
            .AddGateway()
            .AddJobs(data)
            .AddApiKeys()
            .AddUsers()
            .AddSettings();

        var app = builder.Build();
        app.UsePlatform();
        app.MapAccounts();
        app.MapModels();
        app.MapFineTuning();
        app.MapPlayground();
        app.MapGateway();
        app.MapSettings();
        app.MapPortal();
        return app;
    }
}
