using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using TokenMill.Serving.OpenAi;
using TokenMill.Serving.Quantization;
using TokenMill.Serving.Scheduler;
using TokenMill.Shared;
using TokenMill.Shared.Domain;
using TokenMill.Shared.Llama;

namespace TokenMill.Serving.Host;

/// <summary>
/// The life of a server: load, answer, stop.
/// </summary>
internal sealed class ServeProcess(ServeOptions options, StartReport report)
{
    private const long MaxBodyBytes = 16 << 20;
    private const int MaxConnections = 1_024;
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(3);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            var path = options.ChoosesType ? await ChooseWeightsAsync(cancellationToken) : options.ModelPath;
            IServed model;
            using (CrashLine.Watch(new Error("native-crash", $"llama.cpp ended the process while it loaded {Path.GetFileName(options.ModelPath)}", "the model file or the machine is at fault: try another file of this model")))
                model = ServedEmbeddings.IsFor(options.ModelPath)
                    ? ServedEmbeddings.Load(options, report.Loading)
                    : ServedModel.Load(path, options.Adapters, options.Executor, new SchedulerOptions { MaxWaiting = options.MaxWaiting, GuessedStepTokens = options.GuessedStepTokens, LongestGap = options.LongestGap }, report.Loading, options.DraftPath);
            using (model) await ServeAsync(model, cancellationToken);
        }
        catch (RefusedException e)
        {
            report.Failed(e.Error);
            throw;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            report.Failed(new Error("file-error", e.Message, "check the path, its rights and the free space"));
            throw;
        }
    }

    /// <summary>The given file, or the variant of it that serves best here.</summary>
    private async Task<string> ChooseWeightsAsync(CancellationToken cancellationToken)
    {
        ModelPath.Require(options.ModelPath);
        if (ServedEmbeddings.IsFor(options.ModelPath)) throw new RefusedException("type-not-measurable", "an embedding model writes no text whose speed could be measured", "leave out --type");
        var trial = new WeightTypeTrial(options.ModelPath, Installation.SampleDataset, options.Executor.Threads, WeightTypeTrial.CacheFolder, Console.Error.WriteLine);
        var choice = await trial.ChooseAsync(cancellationToken);
        report.Chose(choice);
        if (!choice.IsFileType) Console.Error.WriteLine($"weights: to keep them as a file: ./run quantize {options.ModelPath} --types {choice.Type} --data {Installation.SampleDataset} --out DIR");
        return trial.Weights(choice);
    }

    private async Task ServeAsync(IServed model, CancellationToken cancellationToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var app = Build(model);
        try
        {
            await app.StartAsync(stopping.Token);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new RefusedException(new Error("port-taken", $"{options.Host}:{options.Port} cannot be opened: {e.Message}", "give another --port, or 0 for a free one"), e);
        }
        var url = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        report.Ready(url);

        var end = await Task.WhenAny(model.Ended, app.WaitForShutdownAsync(stopping.Token), options.ParentPipe ? ParentPipe.ClosedAsync(stopping.Token) : Task.Delay(Timeout.InfiniteTimeSpan, stopping.Token));
        var broken = end == model.Ended ? await model.Ended : null;
        await stopping.CancelAsync();
        await app.StopAsync(CancellationToken.None);
        if (broken is not null) throw new RefusedException(new Error("engine-failed", $"the engine broke down: {broken.Message}", "start the server again"), broken);
        cancellationToken.ThrowIfCancellationRequested();
    }

    private WebApplication Build(IServed model)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Logging.SetMinimumLevel(LogLevel.Warning).AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Services.AddSingleton<IHostLifetime, OwnSignals>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        // Each token is a small write: sent by the thread that made it, not by another one that has to be woken.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
            if (IPAddress.TryParse(options.Host, out var address)) kestrel.Listen(address, options.Port);
            else if (options.Host == "localhost") kestrel.Listen(IPAddress.Loopback, options.Port);
            else throw new RefusedException("wrong-host", $"'{options.Host}' is no IP address", "give --host 127.0.0.1, or 0.0.0.0 for every network");
        });
        var app = builder.Build();
        app.UseErrorBodies();
        app.UseSecret(options.Secret);
        app.MapHealth(model);
        model.MapRoutes(app, options.Secret);
        app.UseNotFound();
        return app;
    }

    /// <summary>Signals are the command's affair; a chat takes Ctrl-C as the order to stop its answer, not its server.</summary>
    private sealed class OwnSignals : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
