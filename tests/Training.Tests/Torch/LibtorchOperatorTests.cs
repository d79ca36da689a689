using TokenMill.Training.Tests.Golden;
using TokenMill.Training.Tests.Loop;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Torch;

// What a GPU runs, on the processor: libtorch's operators in place of our kernels, held to the same references, invariants and bounds.

public sealed class LibtorchForwardTests(ITestOutputHelper output) : ForwardTests(output), IDisposable
{
    private readonly LibtorchOperators _operators = new();

    public void Dispose() => _operators.Dispose();
}

public sealed class LibtorchTrainingTests(ITestOutputHelper output) : TrainingTests(output), IDisposable
{
    private readonly LibtorchOperators _operators = new();

    public void Dispose() => _operators.Dispose();
}

public sealed class LibtorchInvariantTests(RunFixture fixture, ITestOutputHelper output) : InvariantTests(fixture, output), IDisposable
{
    private readonly LibtorchOperators _operators = new();

    public void Dispose() => _operators.Dispose();
}

public sealed class LibtorchBlockwiseMomentsTests(RunFixture fixture, ITestOutputHelper output) : BlockwiseMomentsTests(fixture, output), IDisposable
{
    private readonly LibtorchOperators _operators = new();

    public void Dispose() => _operators.Dispose();
}

/// <summary>Libtorch's operators until disposed; nothing native may be left then.</summary>
internal sealed class LibtorchOperators : IDisposable
{
    private readonly string _before = TorchRuntime.Describe().Kernels;
    private readonly long _handles = TorchRuntime.LiveHandles;

    public LibtorchOperators() => Assert.True(TorchRuntime.UseKernels("libtorch"));

    public void Dispose()
    {
        TorchRuntime.UseKernels(_before);
        Assert.Equal(_handles, TorchRuntime.LiveHandles);
    }
}
