using TokenMill.Shared.Domain;

namespace TokenMill.Web.Components;

/// <summary>Where things are in the portal, so that a page can lead to another feature's without knowing it.</summary>
public static class Links
{
    public const string Home = "/";
    public const string Datasets = "/datasets";
    public const string Models = "/models";
    public const string FineTunes = "/fine-tunes";
    public const string Evaluations = "/evaluations";
    public const string Deployments = "/deployments";
    public const string Playground = "/playground";
    public const string Queue = "/queue";
    public const string Keys = "/keys";
    public const string Users = "/users";
    public const string Settings = "/settings";

    public static string Dataset(DatasetId id) => $"{Datasets}/{id}";
    public static string Model(ModelId id) => $"{Models}/{id}";
    public static string FineTune(FineTuneRunId id) => $"{FineTunes}/{id}";
    public static string NewFineTune(DatasetVersionId? dataset = null, ModelVersionId? model = null) => WithQuery($"{FineTunes}/new", ("dataset", dataset?.Value), ("model", model?.Value));
    public static string Evaluation(EvaluationRunId id) => $"{Evaluations}/{id}";
    public static string NewEvaluation(ModelVersionId? tuned = null) => WithQuery($"{Evaluations}/new", ("tuned", tuned?.Value));
    public static string Deployment(DeploymentId id) => $"{Deployments}/{id}";
    public static string NewDeployment(ModelVersionId? model = null) => WithQuery($"{Deployments}/new", ("model", model?.Value));
    public static string PlaygroundOf(DeploymentId id) => $"{Playground}?deployment={id}";

    private static string WithQuery(string path, params (string Name, Guid? Value)[] parameters)
    {
        var query = string.Join('&', parameters.Where(p => p.Value is not null).Select(p => $"{p.Name}={p.Value}"));
        return query.Length == 0 ? path : $"{path}?{query}";
    }
}
