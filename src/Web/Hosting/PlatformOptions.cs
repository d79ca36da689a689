using TokenMill.Shared;
using TokenMill.Shared.CommandLine;

namespace TokenMill.Web.Hosting;

/// <summary>How the platform was started.</summary>
/// <param name="Urls">Where it listens, separated by semicolons.</param>
/// <param name="DataPath">The data directory; see <see cref="DataDirectory"/>.</param>
public sealed record PlatformOptions(string Urls, string DataPath)
{
    public const string Usage = "./run [--port 5080] [--data DIR] [--urls URLS]";
    public const int DefaultPort = 5080;

    /// <summary>Other addresses under which browsers reach this portal, through a reverse proxy for instance (TOKENMILL_ORIGINS, separated by semicolons).</summary>
    public IReadOnlyList<string> AllowedOrigins { get; init; } = [];

    public static PlatformOptions Parse(string[] args)
    {
        var words = new Arguments(args);
        var port = words.Int("--port");
        var urls = words.Option("--urls");
        var data = words.Option("--data");
        words.End();
        if (port is < 0 or > 65535) throw new UsageException("--port is a number from 0 to 65535");
        if (port is not null && urls is not null) throw new UsageException("--port and --urls exclude each other");
        var address = port == 0 ? "http://127.0.0.1:0" : $"http://localhost:{port ?? DefaultPort}";
        return new PlatformOptions(urls ?? address, Path.GetFullPath(data ?? Path.Combine(Installation.Home, "data")))
        {
            AllowedOrigins = Environment.GetEnvironmentVariable("TOKENMILL_ORIGINS")?.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [],
        };
    }
}
