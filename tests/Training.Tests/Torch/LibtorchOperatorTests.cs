using TokenMill.Training.Tests.Golden;
using TokenMill.Training.Tests.Loop;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Torch;

/// <summary>
/// What a GPU runs, on the processor: libtorch's operators in place of our kernels, held to the references, invariants and bounds
/// of our kernels by the same tests.
/// </summary>
public sealed class LibtorchOperatorTests : IClassFixture<RunFixture>, IDisposable
{
    private readonly string _kernels = TorchRuntime.Describe().Kernels;
    private readonly long _handles = TorchRuntime.LiveHandles;
    private readonly ForwardTests _forward;
    private readonly TrainingTests _training;
    private readonly InvariantTests _invariants;
    private readonly BlockwiseMomentsTests _blockwise;

    public LibtorchOperatorTests(RunFixture fixture, ITestOutputHelper output)
    {
        (_forward, _training, _invariants, _blockwise) = (new(output), new(output), new(fixture, output), new(fixture, output));
        Assert.True(TorchRuntime.UseKernels("libtorch"));
    }

    public void Dispose()
    {
        TorchRuntime.UseKernels(_kernels);
        Assert.Equal(_handles, TorchRuntime.LiveHandles);
    }

    [Theory]
    [InlineData("llama-tied")]
    [InlineData("llama-untied")]
    [InlineData("mistral", 64)]
    [InlineData("qwen2")]
    [InlineData("qwen3")]
    [InlineData("smollm3")]
    [InlineData("phi3")]
    [InlineData("gemma3")]
    public void Family_AnswersAndTrainsAsTheReference(string family, int window = int.MaxValue)
    {
        _forward.Family_Float32_AgreesWithHuggingFace(family, window);
        _training.Family_Lora_AgreesWithPeft(family);
    }

    [Fact]
    public void SmolLM2_TrainsAsTheReference() => _training.CompareSmolLM2(TensorType.Float32, steps: 4);

    [Fact]
    public void AllWeights_TrainAsTheReference() => _training.AllWeights_TiedMatrixGetsBothGradients_NormsAreNotDecayed();

    [Fact]
    public void Preferences_TrainAsTheReference() => _training.Preferences_LossRewardsAndGradients_AgreeWithTheFormula();

    [Fact]
    public void Packing_IsolatesSequences() => _training.Packed_IsolatesSequences();

    [Theory]
    [InlineData("sft", "lora")]
    [InlineData("sft", "none")]
    [InlineData("dpo", "lora")]
    public void Batch_DividedOrPackedOtherwise_TrainsTheSame(string method, string adapter) => _invariants.Loss_DoesNotDependOnHowTheBatchIsDividedOrPacked(method, adapter);

    [Theory]
    [InlineData("sft", "lora")]
    [InlineData("sft", "qlora")]
    [InlineData("dpo", "dora")]
    public void ActivationCheckpointing_ChangesNothing(string method, string adapter) => _invariants.ActivationCheckpointing_ChangesNothing(method, adapter);

    [Fact]
    public void Resume_AtAnyStep_ContinuesBitForBit() => _invariants.Resume_AtAnyStep_ContinuesBitForBit();

    [Fact]
    public void MomentsOfAByte_TrainAndResumeAsWell() => _blockwise.FullFineTuning_LearnsLikeFp32_ResumesExactly_InAQuarterOfTheMemory();
}
