using System.Diagnostics;
using TokenMill.Testing;

namespace TokenMill.Training.Tests.Peers;

/// <summary>transformers and peft, unpacked into the user's cache from the archive beside the checkout; runs peer.py with them.</summary>
internal static class HuggingFacePeer
{
    private static readonly string Stack = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache", "hf");

    private static readonly SemaphoreSlim Unpacking = new(1, 1);

    /// <summary>Skips the test where Python or the stack is absent.</summary>
    public static async Task RunAsync(CancellationToken cancellationToken, params string[] arguments)
    {
        Assert.SkipUnless(Installed("python3.11"), "no python3.11 to run transformers with");
        await StackAsync(cancellationToken);
        await RunAsync("python3.11", [Path.Combine(Reference.Repository, "tests", "Training.Tests", "Peers", "peer.py"), .. arguments], cancellationToken);
    }

    /// <summary>The folder of the unpacked stack; skips the test where there is none and nothing to unpack.</summary>
    public static async Task<string> StackAsync(CancellationToken cancellationToken)
    {
        await Unpacking.WaitAsync(cancellationToken);
        try
        {
            if (Directory.Exists(Path.Combine(Stack, "transformers"))) return Stack;
            var archive = Reference.Locate("peers/hf.tar.xz");
            var unfinished = $"{Stack}.{Guid.NewGuid():N}.tmp";
            Directory.CreateDirectory(unfinished);
            await RunAsync("tar", ["xJf", archive, "-C", unfinished], cancellationToken);
            Directory.Move(unfinished, Stack);
            return Stack;
        }
        finally
        {
            Unpacking.Release();
        }
    }

    private static bool Installed(string program) =>
        Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, program)));

    private static async Task RunAsync(string program, string[] arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PYTHONPATH"] = Stack;
        using var process = Process.Start(start)!;
        await using var killed = cancellationToken.Register(() => process.Kill(entireProcessTree: true));
        var said = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var error = await process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {error}{await said}");
    }
}
