using TokenMill.Shared.Domain;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Commands;
using TokenMill.Training.Loop;
using TokenMill.Training.Tests.Loop;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Torch;

/// <summary>Devices by name: what is refused, and with what advice. A machine with a GPU has other answers, so only what is sure everywhere is asked.</summary>
public sealed class DeviceTests(RunFixture fixture) : IClassFixture<RunFixture>
{
    [Theory]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("cuda:1000")]
    [InlineData("CPU")]
    public void UnknownName_IsRefusedWithThoseThatAreKnown(string device)
    {
        var error = Assert.Throws<RefusedException>(() => SpecCheck.Check(FineTuneSpec.Parse(fixture.Spec("unknown", spec => spec["device"] = device)))).Error;
        Assert.Equal("bad-spec", error.Code);
        Assert.Contains($"device: '{device}' is not {TorchDevice.Names}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void GpuThatIsNotThere_IsRefused_AutoAndCpuAreNot()
    {
        Assert.Equal("cpu", TorchDevice.Find("cpu"));
        var found = TorchDevice.Find("auto");
        var missing = Assert.Throws<RefusedException>(() => TorchDevice.Find("cuda:127")).Error;
        Assert.Equal("device-unavailable", missing.Code);
        Assert.Contains("cuda:127", missing.Message, StringComparison.Ordinal);
        if (found != "cpu") return;
        var none = Assert.Throws<RefusedException>(() => TorchDevice.Use("cuda")).Error;
        Assert.Contains($"libtorch {TorchRuntime.Describe().Torch}", none.Message, StringComparison.Ordinal);
        Assert.Contains("or take cpu", none.Remedy, StringComparison.Ordinal);
        Assert.Equal("cpu", TorchDevice.Current);
    }

    [Theory]
    [InlineData("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.65 GiB of which 1.10 GiB is free.")]
    [InlineData("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")]
    public void UsedUpMemoryOfAGpu_IsCalledSo(string reason) => Assert.Equal("out-of-memory", TrainCommand.Explain(new TorchException(reason))!.Code);

    [Fact]
    public void MoreThanTheMachineHas_IsCalledOutOfMemory()
    {
        const long exabyte = 1L << 60;
        var failure = Assert.Throws<TorchException>(() => Tensor.Zeros(TensorType.UInt8, exabyte));
        Assert.Equal("out-of-memory", TrainCommand.Explain(failure)!.Code);
    }
}
