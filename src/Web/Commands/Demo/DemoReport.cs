namespace TokenMill.Web.Commands.Demo;

/// <summary>What <c>demo --json</c> writes; the names are a contract. Losses and log-probabilities are natural, per token.</summary>
public sealed record DemoReport(
    DemoDataset Dataset, DemoTraining Train, DemoEvaluation Evaluation, DemoDeployment Deployment,
    IReadOnlyList<DemoChat> Chat, DemoArtifacts Artifacts, double Seconds);

public sealed record DemoDataset(long Rows, long GoodRows, int TrainRows, int ValidationRows);

public sealed record DemoTraining(
    int Steps, double LossFirst, double LossLast, double ValidationBefore, double ValidationAfter,
    double TokensPerSecond, long UsefulTokens, double Seconds, long PeakMemoryBytes);

public sealed record DemoEvaluation(IReadOnlyDictionary<string, double> Base, IReadOnlyDictionary<string, double> Tuned, int Items);

public sealed record DemoDeployment(double ParityMeanLogprobDifference, double ParityMaxLogprobDifference, int ParityTokens, double LoadSeconds);

public sealed record DemoChat(string Prompt, string Answer, int Tokens, double TtftMs, double TpotMs);

public sealed record DemoArtifacts(string Adapter, string MergedGguf, string AdapterGguf);
