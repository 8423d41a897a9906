export * from './endpoints.ts';
export { bytes, count } from './output.ts';
export { EXIT, runCommandLine } from './program.ts';
export { openSession, type Session } from './session.ts';
export { listTables, renderReports, reportTable, type TableReport } from './table-report.ts';
