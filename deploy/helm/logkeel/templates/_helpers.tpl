{{- define "logkeel.code" -}}{{ .Files.Get "code.yaml" }}{{- end }}

{{- define "logkeel.named" -}}
{{- /* A name of the code with the prefix and a queue put in. (dict "name" "prefix" "queue") */ -}}
{{- .name | replace "{prefix}" .prefix | replace "{queue}" (default "" .queue) -}}
{{- end }}

{{- define "logkeel.resourceName" -}}
{{- /* As `logkeel.cli.strimzi.resource_name`. */ -}}
{{- regexReplaceAll "[^a-z0-9.-]+" (lower .) "-" | trimAll "-." -}}
{{- end }}

{{- define "logkeel.labels" -}}
{{ include "logkeel.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "logkeel.selector" -}}
app.kubernetes.io/name: logkeel
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .queue }}
logkeel.io/queue: {{ . }}
{{- end }}
{{- end }}

{{- define "logkeel.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "logkeel.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "logkeel.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
capabilities:
  drop: [ALL]
{{- end }}

{{- define "logkeel.pod" -}}
{{- /* What every pod has. (dict "root" "role" "component") */ -}}
serviceAccountName: {{ .root.Release.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext:
  {{- include "logkeel.podSecurity" . | nindent 2 }}
{{- end }}

{{- define "logkeel.container" -}}
image: {{ include "logkeel.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "logkeel.containerSecurity" . | nindent 2 }}
{{- end }}

{{- define "logkeel.env" -}}
{{- $code := include "logkeel.code" .root | fromYaml }}
- name: LOGKEEL_PREFIX
  value: {{ .root.Values.prefix | quote }}
- name: LOGKEEL_BOOTSTRAP_SERVERS
  value: {{ .root.Values.kafka.bootstrapServers | quote }}
- name: LOGKEEL_KAFKA_CONFIG
  value: /etc/logkeel/kafka
- name: LOGKEEL_PROBE_HOST
  value: "0.0.0.0"
- name: LOGKEEL_PROBE_PORT
  value: {{ int $code.ports.probes | quote }}
- name: LOGKEEL_METRICS_HOST
  value: "0.0.0.0"
- name: LOGKEEL_METRICS_PORT
  value: {{ int $code.ports.metrics | quote }}
{{- range $name, $value := .env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "logkeel.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: kafka
  mountPath: /etc/logkeel/kafka
  readOnly: true
{{- if .root.Values.kafka.ca.secret }}
- name: kafka-ca
  mountPath: /etc/logkeel/ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "logkeel.volumes" -}}
- name: tmp
  emptyDir: {}
- name: kafka
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ .root.Release.Name }}-kafka
          items: [{key: client.properties, path: client.properties}]
      {{- if .root.Values.kafka.loginKey }}
      - secret:
          name: {{ include "logkeel.resourceName" (printf "%s-%s" .root.Values.prefix .role) }}
          items: [{key: {{ .root.Values.kafka.loginKey }}, path: {{ .root.Values.kafka.loginKey }}}]
      {{- end }}
{{- if .root.Values.kafka.ca.secret }}
- name: kafka-ca
  secret:
    secretName: {{ .root.Values.kafka.ca.secret }}
    defaultMode: 0440
    items: [{key: {{ .root.Values.kafka.ca.key }}, path: ca.crt}]
{{- end }}
{{- end }}

{{- define "logkeel.ports" -}}
{{- $code := include "logkeel.code" .root | fromYaml }}
- name: probes
  containerPort: {{ int $code.ports.probes }}
- name: metrics
  containerPort: {{ int $code.ports.metrics }}
{{- end }}

{{- define "logkeel.probe" -}}
httpGet:
  path: {{ .path }}
  port: probes
periodSeconds: {{ int .periodSeconds }}
timeoutSeconds: {{ int .timeoutSeconds }}
{{- end }}
