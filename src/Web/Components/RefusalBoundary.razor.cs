using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.AspNetCore.Diagnostics;
using TokenMill.Shared.Domain;

namespace TokenMill.Web.Components;

/// <summary>Around every page: shows a refusal as what it is, logs a bug, and is whole again on the next page.</summary>
public sealed partial class RefusalBoundary : IDisposable
{
    [Inject] private NavigationManager Navigation { get; set; } = default!;
    [Inject] private ILogger<RefusalBoundary> Logger { get; set; } = default!;

    private Error Shown => Failures.Explain(CurrentException!)
        ?? new Error("unexpected", "The page met an error it did not expect", "try again; the log of the platform has the details");

    protected override void OnInitialized() => Navigation.LocationChanged += Leave;

    /// <summary>While the page is first rendered; null once it is live.</summary>
    [CascadingParameter] private HttpContext? Request { get; set; }

    protected override Task OnErrorAsync(Exception exception)
    {
        if (exception is RefusedException { Error: var error } && error.Code.EndsWith("-not-found", StringComparison.Ordinal) && Request is { Response.HasStarted: false })
        {
            Request.Response.StatusCode = StatusCodes.Status404NotFound;
            Request.Features.Get<IStatusCodePagesFeature>()?.Enabled = false;        // this page says it already
        }
        if (Failures.Explain(exception) is null) LogFailure(Logger, exception);
        return Task.CompletedTask;
    }

    private void Leave(object? sender, LocationChangedEventArgs e)
    {
        if (CurrentException is not null) Recover();
    }

    public void Dispose() => Navigation.LocationChanged -= Leave;

    [LoggerMessage(LogLevel.Error, "A page failed")]
    private static partial void LogFailure(ILogger logger, Exception exception);
}
