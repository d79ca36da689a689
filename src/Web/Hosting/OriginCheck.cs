namespace TokenMill.Web.Hosting;

/// <summary>
/// Browsers send cookies with a WebSocket from any site, and CORS does not cover it: a connection of the circuit or of a hub is
/// taken only from the portal's own origin or one that the administrator allowed.
/// </summary>
public sealed class OriginCheck(PlatformOptions options)
{
    private static readonly PathString[] Guarded = ["/_blazor", "/hubs"];

    public bool Allows(HttpRequest request)
    {
        if (!request.Headers.TryGetValue("Origin", out var origin)) return true;     // not a browser, or a same-origin GET
        var own = $"{request.Scheme}://{request.Host}";
        return string.Equals(origin, own, StringComparison.OrdinalIgnoreCase) || options.AllowedOrigins.Contains(origin.ToString(), StringComparer.OrdinalIgnoreCase);
    }

    public static bool Guards(HttpRequest request) => Guarded.Any(p => request.Path.StartsWithSegments(p));

    public sealed class Middleware(RequestDelegate next, OriginCheck check)
    {
        public Task InvokeAsync(HttpContext context)
        {
            if (!Guards(context.Request) || check.Allows(context.Request)) return next(context);
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return context.Response.WriteAsync("This origin may not connect.", context.RequestAborted);
        }
    }
}
