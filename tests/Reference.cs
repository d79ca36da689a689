using System.Runtime.CompilerServices;

namespace TokenMill.Testing;

/// <summary>
/// Reference values made by other implementations. They lie beside the checkout (../shared), never inside it.
/// Where the whole folder is absent a test skips and says so; a file that is missing from a folder that is there,
/// or any skip when CI=true and the folder is there, is a failure.
/// </summary>
public static class Reference
{
    /// <summary>Root of the checkout, found from this file's own place.</summary>
    public static string Repository { get; } = Path.GetFullPath(Path.Combine(SourceFolder(), ".."));

    public static string Folder { get; } = Path.GetFullPath(Path.Combine(Repository, "..", "shared"));

    /// <summary>Absolute path of a reference file or folder; skips the test when there is no reference folder at all.</summary>
    public static string Locate(string relative)
    {
        Assert.SkipUnless(Directory.Exists(Folder), $"no reference folder at {Folder}");
        var path = Path.Combine(Folder, relative);
        Assert.True(File.Exists(path) || Directory.Exists(path), $"{relative} is missing from {Folder}");
        return path;
    }

    /// <summary>Skips when a condition of the machine (a peer, a browser) is not met; in CI with the reference folder present, fails instead.</summary>
    public static void Require(bool condition, string reason)
    {
        if (condition) return;
        if (Environment.GetEnvironmentVariable("CI") == "true" && Directory.Exists(Folder)) Assert.Fail($"needed in CI: {reason}");
        Assert.Skip(reason);
    }

    private static string SourceFolder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
