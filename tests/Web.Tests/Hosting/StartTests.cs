using System.Net;
using System.Net.Sockets;
using TokenMill.Shared.CommandLine;
using TokenMill.Shared.Domain;
using TokenMill.Web.Hosting;

namespace TokenMill.Web.Tests.Hosting;

/// <summary>Starting on a machine that is not as it should be.</summary>
public sealed class StartTests
{
    [Fact]
    public async Task DataDirectory_InUse_IsRefused()
    {
        await using var portal = await Portal.StartAsync();
        Assert.Equal("data-in-use", Assert.Throws<RefusedException>(() => DataDirectory.Open(portal.Data.Root)).Error.Code);
    }

    [Fact]
    public void DataDirectory_ThatCannotBeMade_IsRefused()
    {
        var file = Path.GetTempFileName();
        try
        {
            var refusal = Assert.Throws<RefusedException>(() => DataDirectory.Open(Path.Combine(file, "data")));
            Assert.Equal("data-not-writable", refusal.Error.Code);
            Assert.Contains("--data", refusal.Error.Remedy, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void DataDirectory_Reopened_HasNoUnfinishedUploads()
    {
        var folder = Directory.CreateTempSubdirectory("tokenmill-data-");
        using (var data = DataDirectory.Open(folder.FullName)) File.WriteAllText(Path.Combine(data.Uploads, "half"), "half");
        using (var data = DataDirectory.Open(folder.FullName))
        {
            Assert.Empty(Directory.EnumerateFileSystemEntries(data.Uploads));
            Assert.Equal(Path.Combine("models", "a.gguf"), data.Relative(Path.Combine(data.Models, "a.gguf")));
            Assert.Equal("/somewhere/else.gguf", data.Relative("/somewhere/else.gguf"));
            Assert.Equal(Path.Combine(data.Models, "a.gguf"), data.Resolve("models/a.gguf"));
            if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(data.Keys));
            Assert.Equal("disk-full", Assert.Throws<RefusedException>(() => data.RequireSpace(1L << 60)).Error.Code);
        }
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Port_Taken_IsRefusedWithTheWayOut()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var folder = Directory.CreateTempSubdirectory("tokenmill-port-");
        var options = new PlatformOptions($"http://127.0.0.1:{((IPEndPoint)other.LocalEndpoint).Port}", folder.FullName);
        using (var data = DataDirectory.Open(folder.FullName))
        await using (var app = Program.Build(options, data))
        {
            var refusal = await Assert.ThrowsAsync<RefusedException>(() => PlatformHost.StartAsync(app, options));
            Assert.Equal("port-taken", refusal.Error.Code);
            Assert.Contains("--port", refusal.Error.Remedy, StringComparison.Ordinal);
        }
        folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("--port", "70000")]
    [InlineData("--port", "five")]
    [InlineData("--prot", "5080")]
    public void Options_Misspelt_AreWrongUsage(params string[] args) => Assert.Throws<UsageException>(() => PlatformOptions.Parse(args));

    [Fact]
    public void Options_Parsed()
    {
        Assert.Equal("http://localhost:5080", PlatformOptions.Parse([]).Urls);
        Assert.Equal("http://localhost:6000", PlatformOptions.Parse(["--port", "6000"]).Urls);
        Assert.Equal("http://0.0.0.0:80", PlatformOptions.Parse(["--urls", "http://0.0.0.0:80"]).Urls);
        Assert.Equal(Path.GetFullPath("here"), PlatformOptions.Parse(["--data", "here"]).DataPath);
    }
}
