using TokenMill.Serving.Scheduler;

namespace TokenMill.Serving.Host;

/// <summary>A request in the engine, tied to whoever waits for it: when that one goes, so does the request.</summary>
internal sealed class RunningRequest : IDisposable
{
    private readonly EngineLoop _engine;
    private readonly CancellationTokenRegistration _registration;

    public RunningRequest(EngineLoop engine, EngineRequest request, CancellationToken cancellationToken)
    {
        (_engine, Request) = (engine, request);
        _registration = cancellationToken.Register(() => engine.Cancel(request));
    }

    public EngineRequest Request { get; }

    public void Dispose()
    {
        _registration.Dispose();
        if (Request.State != RequestState.Ended) _engine.Cancel(Request);
    }
}
