using System.Text.Json;
using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Testing;
using TokenMill.Training.Loop;

namespace TokenMill.Training.Tests.Loop;

/// <summary>Whole runs in this process on a tiny model with a real tokenizer and chat template: a folder, a data set, a specification to vary.</summary>
public sealed class RunFixture : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("run").FullName;

    public RunFixture()
    {
        Model = Reference.Locate("golden/families/llama-tied/model.gguf");
        Data = File("data.jsonl", Enumerable.Range(1, 24).Select(i => Conversation($"What is {i} plus {i}?", $"{i} and {i} make {2 * i}. " + string.Concat(Enumerable.Repeat("Yes! ", i % 5)))));
    }

    public string Model { get; }
    public string Data { get; }

    public string Path(string name) => System.IO.Path.Combine(_folder, name);

    public string File(string name, IEnumerable<string> lines)
    {
        System.IO.File.WriteAllLines(Path(name), lines);
        return Path(name);
    }

    public static string Conversation(string question, string answer) => JsonSerializer.Serialize(new { messages = new[] { new { role = "user", content = question }, new { role = "assistant", content = answer } } });

    /// <summary>A specification of 6 steps in fp32 on one thread; <paramref name="change"/> alters its JSON.</summary>
    public string Spec(string output, Action<JsonObject>? change = null)
    {
        var spec = new JsonObject
        {
            ["model"] = Model, ["output"] = Path(output), ["data"] = new JsonArray(new JsonObject { ["path"] = Data }),
            ["batch_size"] = 4, ["accumulation"] = 1, ["max_steps"] = 6, ["dtype"] = "float32", ["threads"] = 1,
            ["adapter"] = new JsonObject { ["rank"] = 4, ["alpha"] = 8 }, ["optimizer"] = new JsonObject { ["learning_rate"] = 0.01 },
            ["checkpoint"] = new JsonObject { ["every_steps"] = 2 }, ["export"] = new JsonArray("peft"),
        };
        change?.Invoke(spec);
        return spec.ToJsonString();
    }

    /// <summary>Runs to the end, on a thread of its own as the command does; gives its events.</summary>
    /// <param name="onEvent">Told each event as it is written, with what can stop the run.</param>
    public static List<TrainerEvent> Run(string specText, bool resume = false, Action<TrainerEvent, StopRequest>? onEvent = null)
    {
        using var stop = new StopRequest();
        var writer = new Listener(onEvent is null ? null : e => onEvent(e, stop));
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                var spec = FineTuneSpec.Parse(specText);
                SpecCheck.Check(spec);
                using var output = OutputFolder.Open(spec.Output, specText, resume);
                using var run = new TrainingRun(spec, output, new EventWriter(writer, TimeProvider.System, null), stop, TimeProvider.System);
                run.Execute();
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        return writer.Events;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private sealed class Listener(Action<TrainerEvent>? onEvent) : StringWriter
    {
        public List<TrainerEvent> Events { get; } = [];

        public override void WriteLine(string? value)
        {
            var read = TokenMill.Shared.Json.Deserialize<TrainerEvent>(value!);
            Events.Add(read);
            onEvent?.Invoke(read);
        }
    }
}
