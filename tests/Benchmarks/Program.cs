using TokenMill.Benchmarks;
using TokenMill.Benchmarks.Serving;
using TokenMill.Shared.CommandLine;

try
{
    return args switch
    {
        ["train", .. var options] => await TrainingBenchmarks.RunAsync(new Arguments(options)),
        ["shared-cores", var model, var data] => await SharedCores.RunAsync(Path.GetFullPath(model), Path.GetFullPath(data)),
        ["serving", .. var options] => await ServingBenchmarks.RunAsync(new Arguments(options)),
        ["plan", var model, var data, .. var only] => await PlanAccuracy.RunAsync(Path.GetFullPath(model), Path.GetFullPath(data), only),
        _ => throw new UsageException("which benchmark?"),
    };
}
catch (UsageException e)
{
    Console.Error.WriteLine($"error: {e.Message}");
    Console.Error.WriteLine(TrainingBenchmarks.Usage);
    Console.Error.WriteLine(ServingBenchmarks.Usage);
    Console.Error.WriteLine("       plan MODEL.gguf DATA.jsonl [SPEC …]                what the forecast says against what a run needs");
    Console.Error.WriteLine("       shared-cores MODEL.gguf DATA.jsonl                 chat and training beside each other, against each alone");
    return 2;
}
