{{- define "millrace.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "millrace.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "millrace.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "millrace.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* gRPC port of each service. */}}
{{- define "millrace.ports" -}}
metadata-discovery: 7801
segment-reader: 7802
parquet-converter: 7803
iceberg-rest-catalog: 7804
delta-committer: 7805
catalog-publisher: 7806
maintenance-scheduler: 7807
{{- end -}}

{{/* Where a service is found: all its pods, round robin. (dict "root" $ "service" name) */}}
{{- define "millrace.address" -}}
{{- $ports := include "millrace.ports" .root | fromYaml -}}
dns:///{{ include "millrace.fullname" .root }}-{{ .service }}:{{ index $ports .service }}
{{- end -}}

{{/* The URL of a service's schema in the database. */}}
{{- define "millrace.databaseUrl" -}}
{{- $url := required "database.url: postgres://user@host:5432/database is required" .root.Values.database.url -}}
{{- if not (regexMatch "^postgres(ql)?://" $url) -}}{{- fail "database.url must begin with postgres://" -}}{{- end -}}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/@]*@" $url -}}
{{- fail "database.url holds a password: name its secret in database.passwordSecret instead" -}}
{{- end -}}
{{ $url }}{{ contains "?" $url | ternary "&" "?" }}schema={{ .service | replace "-" "_" }}
{{- end -}}

{{/* A service's settings, as its configuration file: the chart's, then services.<name>.config over them. */}}
{{- define "millrace.config" -}}
{{- $ := .root -}}
{{- $service := .service -}}
{{- $at := dict -}}
{{- range $name, $_ := (include "millrace.ports" $ | fromYaml) -}}
{{- $_ := set $at $name (include "millrace.address" (dict "root" $ "service" $name)) -}}
{{- end -}}
{{- $config := dict "host" "0.0.0.0" "traces" $.Values.telemetry.traces "traceSampleRatio" $.Values.telemetry.traceSampleRatio "metricsPort" $.Values.telemetry.metricsPort "metrics" $.Values.telemetry.metrics -}}
{{- if eq $.Values.tls.mode "plaintext" -}}
{{- $_ := set $config "plaintext" true -}}
{{- else -}}
{{- $_ := merge $config (dict "tlsCertificateFile" "/run/millrace/tls/tls.crt" "tlsKeyFile" "/run/millrace/tls/tls.key" "tlsAuthorityFile" "/run/millrace/tls/ca.crt") -}}
{{- end -}}
{{- $log := required "logStoreUri: the URI of the tiered log is required" $.Values.logStoreUri -}}
{{- $warehouse := required "warehouseUri: the URI of the warehouse is required" $.Values.warehouseUri -}}
{{- if eq $service "metadata-discovery" -}}
{{- $schemas := required "schemaSourceUri: a schema registry or a folder of schemas is required" $.Values.schemaSourceUri -}}
{{- $_ := merge $config (dict "logStoreUri" $log "warehouseUri" $warehouse "schemaSourceUri" $schemas "topics" $.Values.topics) -}}
{{- else if eq $service "segment-reader" -}}
{{- $_ := set $config "logStoreUri" $log -}}
{{- else if eq $service "parquet-converter" -}}
{{- $_ := merge $config (dict "logStoreUri" $log "discoveryAddress" (get $at "metadata-discovery") "segmentReaderAddress" (get $at "segment-reader")) -}}
{{- else if eq $service "iceberg-rest-catalog" -}}
{{- $scheme := eq $.Values.tls.mode "plaintext" | ternary "http" "https" -}}
{{- if $.Values.catalog.certificateSecret -}}{{- $scheme = "https" -}}{{- end -}}
{{- $own := printf "%s://%s-catalog.%s.svc:%v" $scheme (include "millrace.fullname" $) $.Release.Namespace $.Values.catalog.service.port -}}
{{- $_ := merge $config (dict "warehouseUri" $warehouse "discoveryAddress" (get $at "metadata-discovery") "restHost" "0.0.0.0" "catalogUri" (default $own $.Values.catalog.uri) "tokenSource" "file:/run/millrace/catalog/token") -}}
{{- if $.Values.catalog.certificateSecret -}}
{{- $_ := merge $config (dict "restCertificateFile" "/run/millrace/catalog-tls/tls.crt" "restKeyFile" "/run/millrace/catalog-tls/tls.key") -}}
{{- end -}}
{{- else if eq $service "delta-committer" -}}
{{- $_ := set $config "discoveryAddress" (get $at "metadata-discovery") -}}
{{- else if eq $service "catalog-publisher" -}}
{{- $_ := merge $config (dict "discoveryAddress" (get $at "metadata-discovery") "icebergAddress" (get $at "iceberg-rest-catalog")) -}}
{{- else if eq $service "maintenance-scheduler" -}}
{{- $_ := merge $config (dict "warehouseUri" $warehouse "discoveryAddress" (get $at "metadata-discovery") "icebergAddress" (get $at "iceberg-rest-catalog") "deltaAddress" (get $at "delta-committer") "converterAddress" (get $at "parquet-converter")) -}}
{{- end -}}
{{- if has $service (list "metadata-discovery" "iceberg-rest-catalog" "catalog-publisher" "maintenance-scheduler") -}}
{{- $_ := set $config "databaseUrl" (include "millrace.databaseUrl" .) -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy (index $.Values.services $service).config)) -}}
{{- end -}}
