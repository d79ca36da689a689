using TokenMill.Serving.Llama;
using TokenMill.Serving.Scheduler;
using TokenMill.Serving.Tests.Scheduler;
using TokenMill.Shared;

namespace TokenMill.Serving.Tests.Runners;

public sealed class FakeRunnerTests(ITestOutputHelper output) : RunnerContract(output)
{
    protected override double Tolerance => 0;
    protected override string? Adapter => "tuned";

    protected override IModelExecutor Create(int capacityTokens) => new FakeExecutor(capacityTokens, maxSequences: 32) { SaysWhenFull = true };

    [Fact]
    public void Adapter_ChangesItsOwnSequencesOnly() => CheckThatAdapterChangesItsOwnSequencesOnly();
}

/// <summary>The model that comes with the project.</summary>
public sealed class LlamaRunnerTests(ITestOutputHelper output) : LlamaRunnerContract(output, Installation.StarterModel)
{
    protected override double Tolerance => 0.5;
}

public sealed class LlamaRunnerWithAdapterTests(ITestOutputHelper output) : LlamaRunnerContract(output, Models.Family("llama-tied"))
{
    protected override double Tolerance => 0.05;
    protected override string? Adapter => Models.Family("llama-tied", "lora/adapter_final.gguf");

    [Fact]
    public void Adapter_ChangesItsOwnSequencesOnly() => CheckThatAdapterChangesItsOwnSequencesOnly();
}

public sealed class LlamaRunnerSmolLm2Tests(ITestOutputHelper output) : LlamaRunnerContract(output, Models.SmolLm2)
{
    protected override double Tolerance => 1;
}

public abstract class LlamaRunnerContract(ITestOutputHelper output, string path) : RunnerContract(output), IDisposable
{
    private readonly LlamaModel _model = LlamaModel.Load(path);

    protected override IModelExecutor Create(int capacityTokens) =>
        new LlamaExecutor(_model, new LlamaExecutorOptions { ContextTokens = capacityTokens, MaxRunning = 8, StepTokens = 64, Threads = 1 }, adapter => adapter);

    public void Dispose() => _model.Dispose();
}
