using TokenMill.Shared.Formats.Gguf;
using TokenMill.Shared.Formats.HuggingFace;
using TokenMill.Training.Models;

namespace TokenMill.Training.Tests.Export;

public sealed class TrainableArchitectureTests
{
    /// <summary>inspect must promise what the trainer keeps, and what is trained must be exportable.</summary>
    [Fact]
    public void Inspect_AndTrainer_NameTheSameArchitectures()
    {
        Assert.Equal(ModelFamily.All.Select(f => f.Architecture).Order(), GgufModel.TrainableArchitectures.Order());
        Assert.All(ModelFamily.All, f => Assert.NotNull(HuggingFaceFamily.ByArchitecture(f.Architecture)));
    }
}
