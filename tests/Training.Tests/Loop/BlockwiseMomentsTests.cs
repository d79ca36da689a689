using System.Text.Json.Nodes;
using TokenMill.Shared.Jobs;
using TokenMill.Training.Loop;
using TokenMill.Training.Models;
using TokenMill.Training.Torch;

namespace TokenMill.Training.Tests.Loop;

/// <summary>AdamW with a byte for each moment, beside AdamW with four.</summary>
public sealed class BlockwiseMomentsTests(RunFixture fixture, ITestOutputHelper output) : IClassFixture<RunFixture>
{
    /// <summary>
    /// Gradients of very different size in one block, and some that end after a while: the averages must follow, although what they
    /// change by in a step is far below the distance of two codes. Rounding to the nearest code fails this.
    /// </summary>
    [Fact]
    public void Moments_FollowTheExactAverages()
    {
        const int count = BlockwiseMoments.LeastElements + 100, steps = 2500, lastOfSome = 500;        // an incomplete block at the end
        using var scope = new TensorScope();
        var parameter = new Parameter("weight", Tensor.Zeros(TensorType.Float32, count).RequireGradient(), Decays: false);
        var moments = new BlockwiseMoments(parameter);
        var random = new Random(4);
        var sizes = Enumerable.Range(0, count).Select(i => Math.Pow(10, -4 * (i % 7) / 6.0)).ToArray();
        bool Ends(int i) => i % 5 == 0;
        var (mean, square) = (new double[count], new double[count]);
        var spec = new OptimizerSpec();
        for (var step = 1; step <= steps; step++)
        {
            using var pass = new TensorScope();
            var gradient = sizes.Select((size, i) => (float)(Ends(i) && step > lastOfSome ? 0 : size * (0.2 + random.NextDouble()))).ToArray();
            moments.Update(parameter, Tensor.From(gradient, count), spec, 0, 1, step);
            for (var i = 0; i < count; i++) (mean[i], square[i]) = (0.9 * mean[i] + 0.1 * gradient[i], 0.999 * square[i] + 0.001 * (double)gradient[i] * gradient[i]);
        }
        // What the next update makes of them is what matters: mean over root, by a step of rate 1 without a gradient.
        moments.Update(parameter, Tensor.Zeros(TensorType.Float32, count), spec, 1, 1, steps + 1);
        var step1 = parameter.Value.ToFloats();
        double Exact(int i) => -0.9 * mean[i] / (1 - Math.Pow(0.9, steps + 1)) / (Math.Sqrt(0.999 * square[i] / (1 - Math.Pow(0.999, steps + 1))) + 1e-8);
        var going = Enumerable.Range(0, count).Where(i => !Ends(i)).ToList();
        var bias = going.Average(i => step1[i] / Exact(i)) - 1;
        var spread = Math.Sqrt(going.Average(i => Math.Pow(step1[i] / Exact(i) - 1, 2)));
        output.WriteLine($"update against the exact one: bias {bias:P2}, spread {spread:P2}");
        Assert.InRange(bias, -0.02, 0.02);
        Assert.InRange(spread, 0, 0.3);               // codes lie far apart for what is a ten-thousandth of its block's greatest

        var state = moments.State.ToDictionary(part => part.Name, part => part.Value);
        var codes = new byte[count];
        state["root"].Read(codes);
        Assert.All(Enumerable.Range(0, count), i => Assert.True(codes[i] > 0));                       // a root divides: it never becomes 0
        var (scales, values) = (state["root_scale"].ToFloats(), RootValues());
        var fading = Enumerable.Range(0, count).Where(i => Ends(i) && sizes[i] > 0.01).ToList();
        var faded = fading.Average(i => values[codes[i]] * scales[i / BlockwiseMoments.Block] / Math.Sqrt(square[i] * 0.999));
        output.WriteLine($"roots of gradients that ended: {faded:F2} of the exact ones");
        Assert.InRange(faded, 0.85, 1.15);
    }

    [Fact]
    public void FullFineTuning_LearnsLikeFp32_ResumesExactly_InAQuarterOfTheMemory()
    {
        string Spec(string name, string optimizer) => fixture.Spec(name, spec =>
        {
            (spec["adapter"], spec["max_steps"], spec["export"], spec["checkpoint"]) = (new JsonObject { ["type"] = "none" }, 60, new JsonArray(), new JsonObject { ["every_steps"] = 60 });
            (spec["optimizer"], spec["validation"]) = (new JsonObject { ["name"] = optimizer, ["learning_rate"] = 1e-3 }, new JsonObject { ["fraction"] = 0.3 });
        });
        var (exact, bytes) = (RunFixture.Run(Spec("adamw", "adamw")), RunFixture.Run(Spec("adamw8bit", "adamw8bit")));
        var worst = exact.OfType<StepEvent>().Zip(bytes.OfType<StepEvent>(), (a, b) => Math.Abs(a.Loss - b.Loss)).Max();
        var (last, lastExact) = (bytes.OfType<ValidationEvent>().Last().Loss, exact.OfType<ValidationEvent>().Last().Loss);
        output.WriteLine($"worst difference of a loss {worst:F4}; validation {exact.OfType<ValidationEvent>().First().Loss:F3} → {lastExact:F4} and {last:F4}");
        Assert.True(worst < 0.05 && Math.Abs(last - lastExact) < 0.02 && last < exact.OfType<ValidationEvent>().First().Loss - 3);

        long Size(string name) => new FileInfo(fixture.Path($"{name}/checkpoints/step-00000060/state.safetensors")).Length;
        var parameters = exact.OfType<StartedEvent>().Single().TrainableParameters;
        var share = (double)(Size("adamw8bit") - 4 * parameters) / (Size("adamw") - 4 * parameters);
        output.WriteLine($"state {share:P1} of fp32's");
        Assert.InRange(share, 0.2, 0.3);

        var first = RunFixture.Run(Spec("stopped", "adamw8bit"), onEvent: (e, stop) => { if (e is StepEvent { Step: 31 }) stop.Ask(StopReason.Pause); });
        var second = RunFixture.Run(Spec("stopped", "adamw8bit"), resume: true);
        Assert.Equal(bytes.OfType<StepEvent>().Select(step => step.Loss), first.Concat(second).OfType<StepEvent>().Select(step => step.Loss));
    }

    /// <summary>What the codes of roots stand for, from the description of the dynamic type.</summary>
    private static double[] RootValues()
    {
        var values = Enumerable.Range(0, 8).SelectMany(level => Enumerable.Range(0, 1 << level).Select(part => (0.1 + 0.9 * (part + 0.5) / (1 << level)) * Math.Pow(10, level - 7))).Prepend(0).ToArray();
        return [.. values.Select(value => value / values[^1])];
    }
}
