using System.ComponentModel;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Tests.Loop;

namespace TokenMill.Training.Tests.Faults;

/// <summary>A disk that fills up, and files that change or vanish under a run.</summary>
public sealed partial class DiskTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    [Theory]
    [InlineData("checkpoint")]
    [InlineData("export")]
    public async Task FullDisk_EndsWithTheCauseNamed_AndGoesOnOnceThereIsRoom(string stage)
    {
        using var disk = SmallDisk.Mount(fixture.Path("disk-" + stage), megabytes: 4);
        var ballast = Path.Combine(disk.Path, "ballast");
        var whole = RunFixture.Run(fixture.Spec("roomy-" + stage, Long));
        var spec = fixture.File($"full-{stage}.json", [fixture.Spec("full-" + stage, s => { Long(s); s["output"] = Path.Combine(disk.Path, "run"); })]);
        var last = stage == "checkpoint" ? 12 : 40;
        using (var trainer = new TrainerProcess(spec))
        {
            // Room for what is there and little more: the next checkpoint, or the first export, is too large.
            Assert.True(trainer.WaitFor(() => trainer.Last is StepEvent step && step.Step >= last || trainer.Last is CheckpointEvent { Step: 40 }));
            Fill(ballast, leave: stage == "checkpoint" ? 20_000 : 60_000);
            var errors = await trainer.EndAsync();
            var failed = Assert.IsType<FailedEvent>(trainer.Last);
            output.WriteLine($"{stage}: {failed.Code}: {failed.Message}; {failed.Remedy}");
            Assert.Equal((1, "disk-full"), (trainer.ExitCode, failed.Code));
            Assert.StartsWith("error: disk-full: ", errors, StringComparison.Ordinal);
        }
        File.Delete(ballast);
        using var again = new TrainerProcess(spec, "--resume");
        await again.EndAsync();
        Assert.IsType<FinishedEvent>(again.Last);
        Assert.True(again.Events.Select(e => e.Event).OfType<StartedEvent>().Single().Step > 0);
        Assert.DoesNotContain(again.Events, e => e.Event is WarningEvent { Code: "checkpoint-damaged" });
        Assert.Equal(whole.OfType<FinishedEvent>().Single().Loss, ((FinishedEvent)again.Last!).Loss);
        Assert.Equal(File.ReadAllBytes(fixture.Path($"roomy-{stage}/model.gguf")), File.ReadAllBytes(Path.Combine(disk.Path, "run", "model.gguf")));
    }

    [Fact]
    public void DataFile_VanishesDuringTheRun_WhichEndsWell_AndIsNamedBeforeTheNextStep()
    {
        var data = fixture.File("vanishing.jsonl", File.ReadLines(fixture.Data));
        var specText = fixture.Spec("vanishing", spec => spec["data"]![0]!["path"] = data);
        var paused = RunFixture.Run(specText, onEvent: (e, stop) =>
        {
            if (e is StepEvent { Step: 2 }) File.Delete(data);
            if (e is StepEvent { Step: 4 }) stop.Ask(Training.Loop.StopReason.Pause);
        });
        Assert.IsType<PausedEvent>(paused[^1]);
        var error = Assert.Throws<Shared.Domain.RefusedException>(() => RunFixture.Run(specText, resume: true)).Error;
        Assert.Contains(data, error.Message, StringComparison.Ordinal);

        File.WriteAllLines(data, File.ReadLines(fixture.Data).Reverse());
        Assert.Equal("data-changed", Assert.Throws<Shared.Domain.RefusedException>(() => RunFixture.Run(specText, resume: true)).Error.Code);

        File.WriteAllLines(data, File.ReadLines(fixture.Data));
        Assert.Equal([5, 6], RunFixture.Run(specText, resume: true).OfType<StepEvent>().Select(step => step.Step));
    }

    private static void Long(JsonObject spec)
    {
        (spec["max_steps"], spec["checkpoint"]!["every_steps"]) = (40, 5);
        spec["export"] = new JsonArray("peft", "merged");
    }

    private static void Fill(string path, long leave)
    {
        var free = new DriveInfo(Path.GetDirectoryName(path)!).AvailableFreeSpace;
        var block = new byte[4096];
        try
        {
            using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
            for (var left = free - leave; left > 0; left -= block.Length) file.Write(block);
        }
        catch (IOException)
        {
            // The run wrote at the same time: full all the same.
        }
    }

    /// <summary>A file system in memory that holds a few megabytes; needs the right to mount.</summary>
    private sealed partial class SmallDisk : IDisposable
    {
        public required string Path { get; init; }

        public static SmallDisk Mount(string path, int megabytes)
        {
            Directory.CreateDirectory(path);
            var refused = mount("none", path, "tmpfs", 0, $"size={megabytes}m") != 0;
            if (refused) Assert.Skip($"no small file system can be mounted here: {new Win32Exception(Marshal.GetLastPInvokeError()).Message}");
            return new SmallDisk { Path = path };
        }

        public void Dispose()
        {
            const int detach = 2;
            _ = umount2(Path, detach);
        }

        [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
        private static partial int mount(string source, string target, string type, ulong flags, string data);

        [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
        private static partial int umount2(string target, int flags);
    }
}
