using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using TokenMill.Shared;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Nodes;

/// <summary>
/// One serving process: starts on a port of the system's choosing, on loopback, behind a secret that only this process knows.
/// It is ready when <see cref="StartAsync"/> returns. <see cref="Exited"/> completes with the reason when it ends by itself,
/// or when it stopped answering and was killed for it.
/// </summary>
public sealed partial class ServingProcess : IAsyncDisposable
{
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HealthPeriod = TimeSpan.FromSeconds(5), HealthTimeout = TimeSpan.FromSeconds(20);
    private const int MaxMissedHealthChecks = 3;

    private readonly ChildProcess _child;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private bool _unresponsive;

    private ServingProcess(ChildProcess child, Uri address, string secret, TimeProvider time)
    {
        (_child, _time, Address) = (child, time, address);
        // Streams stay open for as long as an answer takes; connecting does not. A stream that is left is closed, not read to its
        // end in the hope of using the connection again: the engine stops when it is closed.
        Client = new HttpClient(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(5), MaxConnectionsPerServer = 256, MaxResponseDrainSize = 0 })
        {
            BaseAddress = address,
            Timeout = Timeout.InfiniteTimeSpan,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", secret) },
        };
        Exited = ReasonAsync();
        _ = WatchHealthAsync();
    }

    public Uri Address { get; }
    public int Id => _child.Id;

    /// <summary>Speaks to this process only: its address and secret are set. Not for callers to dispose.</summary>
    public HttpClient Client { get; }

    /// <summary>Why it ended; never faults.</summary>
    public Task<Error> Exited { get; }

    /// <summary>
    /// Starts and waits until it answers. A model it refuses, or a crash while loading, is a <see cref="RefusedException"/>.
    /// <paramref name="progress"/> hears the share loaded, 0…1.
    /// </summary>
    public static async Task<ServingProcess> StartAsync(ServingOptions options, TimeProvider time, IProgress<double>? progress, CancellationToken cancellationToken)
    {
        var secret = Convert.ToHexString(RandomNumberGenerator.GetBytes(32));
        var program = ChildProgram.Sibling("Serving", options.Arguments()) with { Priority = Priority.Serving, Environment = new Dictionary<string, string> { ["TOKENMILL_SECRET"] = secret } };
        var child = ChildProcess.Start(program, time);
        try
        {
            var lines = child.LinesAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
            while (await lines.MoveNextAsync())
            {
                switch (ParseLine(lines.Current))
                {
                    case { Type: "loading", Progress: { } share }:
                        progress?.Report(share);
                        break;
                    case { Type: "ready", Url: { } url }:
                        var process = new ServingProcess(child, new Uri(url), secret, time);
                        _ = DrainAsync(lines);
                        return process;
                    case { Type: "failed", Code: { } code } failure:
                        throw new RefusedException(code, failure.Message ?? "the model was refused", failure.Remedy ?? "");
                }
            }
            throw new RefusedException(Crash(await child.Exited, "while it loaded the model"));
        }
        catch
        {
            child.Kill();
            await child.DisposeAsync();
            throw;
        }
    }

    /// <summary>How many threads the engine may use from now on; false when it does not answer.</summary>
    public async Task<bool> SetThreadsAsync(int threads, CancellationToken cancellationToken)
    {
        try
        {
            using var response = await Client.PostAsJsonAsync("/internal/threads", new { threads }, Json.Options, cancellationToken);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _child.StopAsync(StopGrace);
        await Exited;
        await _child.DisposeAsync();
        Client.Dispose();
        _stopping.Dispose();
    }

    private async Task<Error> ReasonAsync()
    {
        var exit = await _child.Exited;
        return _unresponsive
            ? new Error("serving-unresponsive", "the serving process stopped answering and was ended", "it is started again; if this repeats, lower its parallel requests or context")
            : Crash(exit, "while it served");
    }

    private static Error Crash(ChildExit exit, string when) => new("serving-crashed",
        $"the serving process stopped {when}: {exit.Reason}{LastLine(exit)}",
        exit.Code == 137 ? "free memory or take a smaller model, then start it again" : "start it again; if this repeats, the model file or the machine is at fault");

    private static string LastLine(ChildExit exit) => exit.Stderr.Length == 0 ? "" : $" ({exit.Stderr.Split('\n')[^1]})";

    private async Task WatchHealthAsync()
    {
        using var timer = new PeriodicTimer(HealthPeriod, _time);
        try
        {
            for (var missed = 0; missed < MaxMissedHealthChecks;)
            {
                if (!await timer.WaitForNextTickAsync(_stopping.Token) || _child.Exited.IsCompleted) return;
                missed = await AnswersAsync() ? 0 : missed + 1;
            }
            _unresponsive = true;
            _child.Kill();
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // It is being stopped.
        }
    }

    private async Task<bool> AnswersAsync()
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        timeout.CancelAfter(HealthTimeout);
        try
        {
            using var response = await Client.GetAsync("/health", timeout.Token);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!_stopping.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Nothing is expected after the ready line, but an output nobody reads would block the process.</summary>
    private static async Task DrainAsync(IAsyncEnumerator<string> lines)
    {
        await using (lines)
        {
            try
            {
                while (await lines.MoveNextAsync())
                {
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or OperationCanceledException)
            {
                // The process ended.
            }
        }
    }

    private static StartLine? ParseLine(string line)
    {
        try
        {
            return Json.Deserialize<StartLine>(line);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private sealed record StartLine([property: JsonRequired] string Type)
    {
        public string? Url { get; init; }
        public double? Progress { get; init; }
        public string? Code { get; init; }
        public string? Message { get; init; }
        public string? Remedy { get; init; }
    }
}
