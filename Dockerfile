# Built on Debian, since the trainer links Debian's libtorch.
FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl g++ cmake libtorch-dev libdnnl-dev libopenblas0-pthread libicu72 nodejs npm openssl
COPY --from=mcr.microsoft.com/dotnet/sdk:10.0 /usr/share/dotnet /usr/share/dotnet
RUN ln -s /usr/share/dotnet/dotnet /usr/bin/dotnet
WORKDIR /src
COPY . .
RUN ./run setup && dotnet publish src/Web -c Release --no-build -o /out/web

FROM debian:12
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl libtorch1.13 libdnnl2 libopenblas0-pthread libgomp1 libicu72 \
    && rm -rf /var/lib/apt/lists/* && useradd --create-home --uid 1000 tokenmill && install -d -o tokenmill /data
COPY --from=build /usr/share/dotnet /usr/share/dotnet
COPY --from=build /out/web /app/web
COPY --from=build /src/.build/bin/Training/release /app/training
COPY --from=build /src/.build/bin/Serving/release /app/serving
COPY --from=build /src/.native /app/.native
COPY --from=build /src/models /app/models
COPY --from=build /src/samples /app/samples
ENV TOKENMILL_HOME=/app PATH="$PATH:/usr/share/dotnet"
USER tokenmill
EXPOSE 5080
ENTRYPOINT ["dotnet", "/app/web/TokenMill.Web.dll", "--urls", "http://0.0.0.0:5080", "--data", "/data"]
