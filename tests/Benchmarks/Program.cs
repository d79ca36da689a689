using TokenMill.Benchmarks;

return args switch
{
    ["shared-cores", var model, var data] => await SharedCores.RunAsync(Path.GetFullPath(model), Path.GetFullPath(data)),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("usage: shared-cores MODEL.gguf DATA.jsonl    chat and training beside each other, against each alone");
    return 2;
}
