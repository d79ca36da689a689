using System.Diagnostics;
using System.Globalization;
using TokenMill.Web.Nodes;

namespace TokenMill.Web.Tests.Nodes;

public sealed class ChildProcessTests
{
    private static ChildProcess Shell(string script, Priority? priority = null, IReadOnlyDictionary<string, string>? environment = null) =>
        ChildProcess.Start(new ChildProgram("/bin/sh", ["-c", script]) { Priority = priority ?? Priority.Normal, Environment = environment ?? new Dictionary<string, string>() }, TimeProvider.System);

    private static async Task<List<string>> LinesAsync(ChildProcess child)
    {
        var lines = new List<string>();
        await foreach (var line in child.LinesAsync(TestContext.Current.CancellationToken)) lines.Add(line);
        return lines;
    }

    [Fact]
    public async Task Child_ThatFails_LeavesItsCodeAndTheEndOfItsStderr()
    {
        await using var child = Shell("for i in $(seq 1 100); do echo problem $i >&2; done; exit 7");
        var exit = await child.Exited;
        Assert.Equal(7, exit.Code);
        Assert.EndsWith("problem 99\nproblem 100", exit.Stderr);
        Assert.Equal(40, exit.Stderr.Split('\n').Length);
    }

    [Fact]
    public async Task Child_RunsNicedInASessionOfItsOwn_WithItsSecretInTheEnvironmentOnly()
    {
        var (ownNice, ownSession) = (await NiceAsync(), await SessionAsync());       // the tests themselves may have been started niced
        await using var child = Shell("nice; echo \"$TOKENMILL_SECRET\"; cat /proc/$$/stat; tr '\\0' ' ' < /proc/$$/cmdline; echo; cat /proc/$$/autogroup", Priority.Serving, new Dictionary<string, string> { ["TOKENMILL_SECRET"] = "canary-71" });
        var lines = await LinesAsync(child);
        Assert.Equal([$"{Math.Min(ownNice + Priority.Serving.Nice, 19)}", "canary-71"], lines[..2]);
        var session = lines[2].Split(' ')[5];
        Assert.Equal($"{child.Id}", session);
        Assert.DoesNotContain("canary", lines[3]);
        if (lines.Count > 4) Assert.EndsWith($"nice {Priority.Serving.SessionNice}", lines[4]);          // a kernel with autogroups
        Assert.Equal((ownNice, ownSession), (await NiceAsync(), await SessionAsync()));
    }

    private static async Task<int> NiceAsync()
    {
        var stat = await File.ReadAllTextAsync("/proc/self/stat", TestContext.Current.CancellationToken);
        return int.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[16], CultureInfo.InvariantCulture);
    }

    private static async Task<string> SessionAsync() =>
        File.Exists("/proc/self/autogroup") ? await File.ReadAllTextAsync("/proc/self/autogroup", TestContext.Current.CancellationToken) : "";

    [Fact]
    public async Task Lines_AreObeyed_UntilThePipeCloses()
    {
        await using var child = Shell("while read word; do echo got $word; done; echo end");
        Assert.True(await child.SendAsync("pause", TestContext.Current.CancellationToken));
        var reading = LinesAsync(child);
        var exit = await child.StopAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(0, exit.Code);
        Assert.Equal(["got pause", "end"], await reading);
        Assert.False(await child.SendAsync("late", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Stop_OfAChildThatDoesNotListen_KillsItAfterTheGrace()
    {
        await using var child = Shell("trap '' TERM; while :; do sleep 0.1; done");
        var watch = Stopwatch.StartNew();
        var exit = await child.StopAsync(TimeSpan.FromMilliseconds(300));
        Assert.Equal(137, exit.Code);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0.3, 5);
    }

    [Fact]
    public void Restart_OfWhatCrashesAgainAndAgain_IsGivenUpAfterThree()
    {
        var policy = new RestartPolicy(TimeProvider.System);
        var first = policy.AfterCrash();
        var second = policy.AfterCrash();
        Assert.True(first > TimeSpan.Zero && second > first);
        Assert.Null(policy.AfterCrash());
        policy.Worked();
        Assert.Equal(first, policy.AfterCrash());
    }
}
