using TokenMill.Benchmarks;

return args switch
{
    ["shared-cores", var model, var data] => await SharedCores.RunAsync(Path.GetFullPath(model), Path.GetFullPath(data)),
    ["plan", var model, var data, .. var only] => await PlanAccuracy.RunAsync(Path.GetFullPath(model), Path.GetFullPath(data), only),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("""
        usage: shared-cores MODEL.gguf DATA.jsonl    chat and training beside each other, against each alone
               plan MODEL.gguf DATA.jsonl [NAME …]   what train --plan says against what the run takes
        """);
    return 2;
}
